"""What signing costs in KMS, and how much of the request quota it takes. Prices and quotas are estimates.

Source: AWS KMS pricing; KMS Developer Guide, "Request quotas"; `docs/kms-guidance.md`, "Cost and quotas".
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Final

from auditseal.core.algorithm import Algorithm
from auditseal.errors import InputError

MODES: Final = ("event", "checkpoint")
_KEY_A_MONTH: Final = 1.0
_MONTH_S: Final = 30 * 86_400
_CHEAP: Final = 0.03
_OTHER: Final = 0.15
_PER: Final = 10_000
_QUOTAS: Final = {"RSA": 1_000, "ECC": 1_000, "ML": 1_000, "HMAC": 10_000}
_NEAR: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate for one key.

    Attributes:
        calls_s: calls to Sign or GenerateMac a second, on average.
        peak_calls_s: in the busiest second.
        quota_s: what KMS allows an account and Region, for all keys of the kind together.
        month: US dollars for thirty days, the key included.
    """

    algorithm: Algorithm
    spec: str
    mode: str
    rate: float
    calls_s: float
    peak_calls_s: float
    quota_s: int
    month: float

    @property
    def share(self) -> float:
        """Of the quota, in the busiest second."""
        return self.peak_calls_s / self.quota_s

    @property
    def fits(self) -> bool:
        """Whether the busiest second stays within the quota."""
        return self.share <= 1

    @property
    def members(self) -> dict[str, Any]:
        """As JSON members."""
        return {
            "algorithm": str(self.algorithm.id),
            "key_spec": self.spec,
            "mode": self.mode,
            "events_per_second": self.rate,
            "calls_per_second": self.calls_s,
            "peak_calls_per_second": self.peak_calls_s,
            "quota_per_second": self.quota_s,
            "quota_share": self.share,
            "usd_per_month": round(self.month, 2),
            "fits": self.fits,
        }

    @property
    def text(self) -> str:
        """For a person."""
        lines = [
            f"{self.rate:g} events a second, {self.algorithm.id} ({self.spec}), signed by {self.mode}",
            f"  KMS calls   {self.calls_s:,.2f} a second, {self.peak_calls_s:,.1f} in the busiest",
            f"  quota       {self.share:.1%} of {self.quota_s:,} a second, which all such keys of the Region share",
            f"  cost        about {self.month:,.2f} US dollars a month: an estimate, prices differ and change",
        ]
        if not self.fits:
            lines.append("  TOO MUCH    KMS would throttle: sign by checkpoint, or ask AWS for a higher quota")
        elif self.share > _NEAR:
            lines.append("  NEAR        other keys' calls may take the rest: ask AWS for a higher quota")
        return "\n".join(lines)


def estimate(
    algorithm: Algorithm, *, rate: float, mode: str, every: int = 1000, every_s: float = 10.0, peak: float = 3.0
) -> Estimate:
    """Cost and quota for an event rate.

    Args:
        algorithm: with its usual key spec.
        rate: events a second, on average; >0.
        mode: `event` or `checkpoint`.
        every: events for a checkpoint at most.
        every_s: seconds for a checkpoint at most.
        peak: the busiest second, times the average; ≥1.

    Raises:
        InputError: no such mode, or a number that makes no sense.
    """
    if mode not in MODES:
        raise InputError(f"--mode {mode[:20]} is neither event nor checkpoint")
    if not 0 < rate < inf or every < 1 or not 0 < every_s < inf or not 1 <= peak < inf:
        raise InputError("rate, interval and peak must be positive, and the peak at least 1")
    # A checkpoint is due after so many events or so much time, whichever comes first.
    calls = rate if mode == "event" else max(rate / every, min(rate, 1 / every_s))
    peaks = rate * peak if mode == "event" else max(rate * peak / every, min(rate * peak, 1 / every_s))
    spec = algorithm.kms_key_specs[0]
    price = _CHEAP if spec == "RSA_2048" or algorithm.is_mac else _OTHER
    return Estimate(
        algorithm=algorithm,
        spec=spec,
        mode=mode,
        rate=rate,
        calls_s=calls,
        peak_calls_s=peaks,
        quota_s=_QUOTAS[spec.partition("_")[0]],
        month=_KEY_A_MONTH + calls * _MONTH_S / _PER * price,
    )
