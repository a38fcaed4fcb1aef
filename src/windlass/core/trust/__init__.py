"""Whether a signature is good: of images, against keys or a root of trust that Git names. Pure: keys, roots and
signatures are arguments, nobody is asked.

It fails closed: what can't be read, is of another form, or is about something else is no signature.
"""

from windlass.core.trust.images import BadKey, read_keys, verify_bundle, verify_simple
from windlass.core.trust.keyless import (
    Signed,
    Signers,
    verify_keyless_bundle,
    verify_keyless_simple,
)
from windlass.core.trust.roots import BadRoot, Root, read_root
from windlass.core.trust.signed import Key

__all__ = [
    "BadKey",
    "BadRoot",
    "Key",
    "Root",
    "Signed",
    "Signers",
    "read_keys",
    "read_root",
    "verify_bundle",
    "verify_keyless_bundle",
    "verify_keyless_simple",
    "verify_simple",
]
