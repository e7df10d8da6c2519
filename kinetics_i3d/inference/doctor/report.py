"""`Report` and `Finding`: the results of `examine`."""

import dataclasses

from kinetics_i3d.core.clip_spec import ClipSpec

_SEVERITIES = ("ok", "warning", "error")


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one check.

    Args:
        severity: `"ok"`; `"warning"` for a possible problem; `"error"` for one that makes
            predictions wrong.
        topic: The property in one word, such as `"range"`.
        actual: The value of the property in the file.
        expected: The value that the spec or the model expects; empty if there is no problem.
        fix: A line of NumPy, a command or an option that fixes it.

    Raises:
        ValueError: If `severity` is unknown.
    """

    severity: str
    topic: str
    actual: str
    expected: str = ""
    fix: str = ""

    def __post_init__(self):
        if self.severity not in _SEVERITIES:
            raise ValueError(
                f"`severity` must be one of {_SEVERITIES}. Received: severity={self.severity!r}"
            )

    def __str__(self):
        parts = [self.actual]
        if self.expected:
            parts.append(f"expected: {self.expected}")
        if self.fix:
            parts.append(f"fix: {self.fix}")
        return "; ".join(parts)


@dataclasses.dataclass(frozen=True)
class Report:
    """All findings about one file.

    Args:
        path: The file.
        kind: `"video"` or `"array"`.
        spec: The `ClipSpec` that it was checked against.
        findings: The `Finding`s, in the order of the checks.
    """

    path: str
    kind: str
    spec: ClipSpec
    findings: tuple

    @property
    def has_errors(self):
        """Whether one of the findings is an `"error"`."""
        return any(finding.severity == "error" for finding in self.findings)

    def __str__(self):
        lines = [f"{self.path} (for {self.spec.name}, {self.spec.stream})"]
        lines += [
            f"  {finding.severity:<7}  {finding.topic:<11}  {finding}" for finding in self.findings
        ]
        return "\n".join(lines)

    def to_dict(self):
        """The fields as a JSON-ready dictionary."""
        return {
            "path": self.path,
            "kind": self.kind,
            "has_errors": self.has_errors,
            "spec": self.spec.to_dict(),
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
        }
