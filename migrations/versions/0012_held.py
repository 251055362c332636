"""What held a message back before it went, or did not."""

import sqlalchemy as sa
from alembic import op

from migrations.locks import take_alone

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    take_alone("messages")
    op.add_column("messages", sa.Column("alive_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("messages", sa.Column("held", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("messages", "held")
    op.drop_column("messages", "alive_until")
