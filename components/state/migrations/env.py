"""Alembic's entry: migrate over the connection that `Store` hands over."""

from alembic import context

from components.state.models import Base


def migrate() -> None:
    """Bring the database behind the connection to the asked-for revision."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=Base.metadata)
    context.run_migrations()


if hasattr(context, "config"):  # run by Alembic, not merely imported
    migrate()
