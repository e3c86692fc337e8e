"""Why a command stops, as data. The words for a person are in cli/messages.py."""

from cli.codes import Code


class Trouble(Exception):
    """The root error of this program.

    `code` is stable and looked up in `cli.messages`; `detail` is text for a person that holds no
    secret; `retry_after` is in seconds; `aftermath` is a sentence on what became of things here.
    """

    def __init__(self, code: str, *, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.aftermath = ""


class Unreachable(Trouble):
    """No answer, and it is safe to ask again: nothing was sent, or it was only a read."""

    def __init__(self, *, detail: str = "") -> None:
        super().__init__(Code.SERVICE_UNREACHABLE, detail=detail)


class AnswerLost(Trouble):
    """A submission may have arrived, its answer did not: it must not be sent again."""

    def __init__(self) -> None:
        super().__init__(Code.ANSWER_LOST)


class Refusal(Trouble):
    """The service answered, with an error status."""

    def __init__(
        self, status: int, code: str, *, detail: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(code, detail=detail, retry_after=retry_after)
        self.status = status


class Cancelled(Trouble):
    """The person ended it: Ctrl-C, or the end of input at a question."""

    def __init__(self, *, detail: str = "") -> None:
        super().__init__(Code.CANCELLED, detail=detail)
