"""The answers that hold a body's fingerprint are found by it: an erasure looks for them in each of its transactions."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_idempotency_fingerprint", "idempotency", ["fingerprint"])


def downgrade():
    op.drop_index("ix_idempotency_fingerprint", "idempotency")
