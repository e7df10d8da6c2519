"""`Report`: what the doctor found in one file, finding by finding.

Severities are three, so that a script can stop at the one that spoils predictions.
"""

import dataclasses

from kinetics_i3d.core.clip_spec import ClipSpec

SEVERITIES = ("ok", "note", "wrong")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        severity: `"ok"`; `"note"` for what may matter; `"wrong"` for what surely spoils
            predictions.
        topic: One word of what was looked at, such as `"range"`.
        found: What is there.
        wants: What the spec or the model wants; empty where nothing is amiss.
        mend: What puts it right: a line of NumPy, a command or an option.

    Raises:
        ValueError: If `severity` is another one.
    """

    severity: str
    topic: str
    found: str
    wants: str = ""
    mend: str = ""

    def __post_init__(self):
        if self.severity not in SEVERITIES:
            raise ValueError(
                f"`severity` must be one of {SEVERITIES}. Received: severity={self.severity!r}"
            )

    def __str__(self):
        parts = [self.found]
        if self.wants:
            parts.append(f"wanted: {self.wants}")
        if self.mend:
            parts.append(f"mend: {self.mend}")
        return "; ".join(parts)


@dataclasses.dataclass(frozen=True)
class Report:
    """All findings about one file.

    Args:
        path: The file.
        kind: `"video"` or `"array"`.
        spec: The `ClipSpec` that it was held against.
        findings: `Finding`s in the order in which they were made.
    """

    path: str
    kind: str
    spec: ClipSpec
    findings: tuple

    @property
    def wrong(self):
        """Whether one of the findings is `"wrong"`."""
        return any(finding.severity == "wrong" for finding in self.findings)

    def to_dict(self):
        """The fields as a JSON-ready dictionary."""
        return {
            "path": self.path,
            "kind": self.kind,
            "wrong": self.wrong,
            "spec": self.spec.to_dict(),
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
        }
