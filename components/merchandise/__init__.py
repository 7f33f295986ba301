"""What a commercial team decides: promotions, sponsored results, launches, bundles and rules."""
