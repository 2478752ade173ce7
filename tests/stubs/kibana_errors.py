"""What the stubs of Kibana's APIs share."""

from __future__ import annotations


class RefusedError(Exception):
    """A request that Kibana refuses, with its status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text
