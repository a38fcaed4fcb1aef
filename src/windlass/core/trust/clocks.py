"""Timestamps of authorities (RFC 3161): when a signature was there already, by somebody else's clock.

The library (``rfc3161-client``) holds signature, certificates, purpose and imprint against the authority's own
certificate; here the times are held against those in which the root trusts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from windlass.core.trust.roots import BROKEN, Authority

MOST_STAMPS = 32


def times_of(stamps: Sequence[bytes], signature: bytes, clocks: Sequence[Authority]) -> list[datetime]:
    """The times that an authority of the root signed for this signature. A stamp that shows nothing adds none."""
    if not stamps or not clocks:
        return []
    import rfc3161_client  # of some size, and few need it

    found: list[datetime] = []
    for stamp in stamps[:MOST_STAMPS]:
        try:
            response = rfc3161_client.decode_timestamp_response(stamp)
        except ValueError:
            continue
        for clock in clocks:
            own, *between, last = clock.certificates
            try:
                rfc3161_client.VerifierBuilder(
                    tsa_certificate=own, intermediates=list(between), roots=[last]
                ).build().verify_message(response, signature)
                when = response.tst_info.gen_time.astimezone(UTC)
            except (rfc3161_client.VerificationError, *BROKEN):
                continue
            if clock.period.covers(when):
                found.append(when)
                break
    return found
