"""Who answers a question: an option, the person at the terminal, or a line of standard input."""

from dataclasses import dataclass, field

from pydantic import SecretStr

from cli.codes import Code
from cli.patience import Deadline
from cli.prompts import (
    PIPE_SECONDS,
    Person,
    Pipe,
    person_at_terminal,
    person_watching,
)
from cli.trouble import Trouble


@dataclass(frozen=True)
class Inputs:
    """At a terminal a person is asked. Elsewhere standard input answers, but only where that was
    said (`secrets_piped`, `codes_piped`): a program must not hang on a question nobody sees.
    """

    secrets_piped: bool = False
    codes_piped: bool = False
    _pipe: Pipe = field(default_factory=Pipe)
    _person: Person | None = field(default_factory=person_at_terminal)

    def username(self, given: str | None) -> str:
        if given is not None:
            return _usable(given.strip(), "username")
        if self._person:
            return self._person.ask("Garmin username (e-mail address): ", _patience())
        raise Trouble(Code.MISSING_INPUT, detail="say who signs in with --username")

    def secret(self, what: str, question: str, otherwise: str) -> SecretStr:
        """`what` names it in messages, `otherwise` says how to give it without a terminal."""
        if self._person:
            return self._person.ask_hidden(question)
        if self.secrets_piped:
            return SecretStr(self._piped(what, _patience()))
        raise Trouble(Code.MISSING_INPUT, detail=otherwise)

    def code(self, said_before: str, deadline: Deadline) -> SecretStr:
        """Raises `Trouble("code_not_in_time")`."""
        try:
            return SecretStr(self._code(said_before, deadline))
        except TimeoutError:
            raise Trouble(Code.CODE_NOT_IN_TIME) from None

    def _code(self, said_before: str, deadline: Deadline) -> str:
        if self.codes_piped and not self._person:
            return self._pipe.answer("code", deadline)
        person = self._person or person_watching()
        if person is None:
            detail = "Garmin asks for a code; to answer from a program, use --code-stdin or --json"
            raise Trouble(Code.MISSING_INPUT, detail=detail)
        person.tell(said_before)
        return person.ask("Code: ", deadline)

    def _piped(self, what: str, deadline: Deadline) -> str:
        try:
            return self._pipe.answer(what, deadline)
        except TimeoutError:
            detail = f"no {what} came on standard input"
            raise Trouble(Code.MISSING_INPUT, detail=detail) from None


def _patience() -> Deadline:
    return Deadline.after(PIPE_SECONDS)


def _usable(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Trouble(Code.BAD_INPUT, detail=f"the {what} is not UTF-8") from None
    if not text:
        raise Trouble(Code.BAD_INPUT, detail=f"the {what} is empty")
    return text
