"""The service's durable state in SQL: events, baskets, preferences, sessions and audit."""
