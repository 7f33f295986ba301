"""Shipped parts behind the interfaces that outside graders expect."""
