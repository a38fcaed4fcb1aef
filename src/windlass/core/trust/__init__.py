"""Whether a signature is good: of images, against keys that Git names. Pure: keys and signatures are arguments.

It fails closed: what can't be read, is of another form, or is about something else is no signature.
"""

from windlass.core.trust.images import BadKey, Key, read_keys, verify_bundle, verify_simple

__all__ = ["BadKey", "Key", "read_keys", "verify_bundle", "verify_simple"]
