"""Owns the wire shapes of checkpoints and proofs. Must not decide anything."""

from typing import Annotated

from pydantic import Field

from app.api.schemas import Asked, Moment, Told

EVENT = "evt_0193d5a0-7c20-7111-8f0e-51c3c9f9a0d2"
LINE = "— witness.example/w1 IDJKvgAAAABkGFDL1Ta5IhhVAPiA/G7DfJ6WhxygdQ=="
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$", examples=["0" * 64])]
Size = Annotated[int, Field(ge=1, le=2**63 - 1, examples=[70000])]


class CheckpointView(Told):
    """A signed size and root; `note` is the whole C2SP checkpoint, with the signatures of witnesses."""

    origin: str = Field(examples=["handrail.example.org"])
    size: int
    root: Hash
    signed_at: Moment
    note: str


class ProofView(Told):
    """That an event is the leaf at `index` of the checkpoint's tree; `path` goes from the leaf upwards (RFC 9162)."""

    event_id: str = Field(examples=[EVENT])
    index: int
    leaf_hash: Hash
    path: list[Hash]
    checkpoint: CheckpointView


class TreeView(Told):
    size: int
    root: Hash


class ConsistencyView(Told):
    """That the newer tree begins with the older one (RFC 9162, 2.1.4)."""

    older: TreeView
    newer: TreeView
    path: list[Hash]


class NewCosignatures(Asked):
    """Signature lines of witnesses (cosignature/v1) under the checkpoint of a size."""

    size: Size
    lines: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(min_length=1, max_length=100)] = Field(
        examples=[[LINE]]
    )
