"""Events of kind `audit`: what a job's audit of its short runs decided."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _allow("'trial', 'evaluation', 'front', 'state', 'audit'")


def downgrade() -> None:
    op.execute("DELETE FROM events WHERE kind = 'audit'")
    _allow("'trial', 'evaluation', 'front', 'state'")


def _allow(kinds: str) -> None:
    with op.batch_alter_table("events", table_kwargs={"sqlite_autoincrement": True}) as events:
        events.drop_constraint(op.f("ck_events_kind"), type_="check")
        events.create_check_constraint(op.f("ck_events_kind"), f"kind IN ({kinds})")
