"""Owns the signing keys: reads their files, makes new ones, verifies. Nothing else knows a library of signatures."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.domain.errors import HandrailError, Malformed
from app.domain.notes import COSIGNATURE, ED25519, Key, Signer, SigningKey, Witnesses, is_name, key_of, seed_of, skey
from app.settings import Settings

MODE = 0o600
NO_NAME = "An origin is a name without spaces and plus signs, such as example.org/handrail."


def signer_of(settings: Settings) -> Signer:
    """The signer that the settings name; without a key file it signs nothing. Raises HandrailError, OSError."""
    origin = settings.log_origin
    if not is_name(origin):
        raise HandrailError(f"HANDRAIL_ORIGIN: {NO_NAME}")
    keys = tuple(read_key(path, origin) for path in settings.signing_key_file)
    if len({one.key.public for one in keys}) < len(keys):
        raise HandrailError("HANDRAIL_SIGNING_KEY_FILE names one key twice; during a rotation it names two.")
    return Signer(origin, keys)


def witnesses_of(settings: Settings) -> Witnesses:
    """The witnesses that the settings name. Raises HandrailError, for a key that is not one for cosignatures too."""
    keys = tuple(map(key_of, settings.witnesses))
    for one in keys:
        if one.algorithm != COSIGNATURE:
            raise HandrailError(
                f"HANDRAIL_WITNESSES: the key of {one.name} signs notes, and is none for cosignature/v1."
            )
    return Witnesses(keys, check)


def read_key(path: Path, origin: str) -> SigningKey:
    """The key in a file, which must be its owner's alone and for this origin. Raises HandrailError, OSError."""
    with path.open(encoding="ascii", errors="replace") as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        if mode & 0o177:
            raise HandrailError(f"{path} has the mode {mode:04o}, but is for its owner alone: `chmod 600` it.")
        line = file.read(1000)
    try:
        name, key_id, seed = seed_of(line)
    except Malformed as error:
        raise HandrailError(f"{path}: {error.detail}") from None
    made = _signing(name, seed)
    if key_id != made.key.id.hex():
        raise HandrailError(f"{path}: the id {key_id} is not that of the key; the file was changed.")
    if name != origin:
        raise HandrailError(f"{path} holds a key of {name}, but HANDRAIL_ORIGIN says {origin}.")
    return made


def create_key(path: Path, origin: str) -> Key:
    """Make a key in a new file of mode 0600; returns the public half. Raises Malformed, OSError when it is there."""
    if not is_name(origin):
        raise Malformed(NO_NAME)
    private = Ed25519PrivateKey.generate()
    key = Key(origin, ED25519, private.public_key().public_bytes_raw())
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), MODE)
        file.write(skey(key, private.private_bytes_raw()))
    return key


def _signing(name: str, seed: bytes) -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey(Key(name, ED25519, private.public_key().public_bytes_raw()), private.sign)


def check(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature (RFC 8032) holds."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
