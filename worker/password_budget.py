"""How often one job may post its password: each driver's permit counts against it."""

from dataclasses import dataclass, field

from shared.errors import PasswordSpentError
from shared.redis.password_posts import PasswordPosts
from worker.drivers.driver import Permit


@dataclass
class PasswordBudget:
    """One for a run. What earlier runs of the job have posted counts as well."""

    permit: Permit
    posts: PasswordPosts
    job_id: str
    sent: set[tuple[str, str]] = field(default_factory=set)
    """Each driver, and its way in, that has posted the password in this run."""

    def of(self, driver: str) -> "DriverPermit":
        return DriverPermit(self, driver)

    def count(self, driver: str, way: str) -> None:
        if (driver, way) in self.sent or not self.posts.count(self.job_id, driver):
            raise PasswordSpentError
        self.sent.add((driver, way))


@dataclass(frozen=True)
class DriverPermit:
    """What one driver gets for a sign-in: see `SignInPermit`."""

    budget: PasswordBudget
    driver: str

    @property
    def has_posted(self) -> bool:
        return any(driver == self.driver for driver, _ in self.budget.sent)

    def check(self) -> float | None:
        return self.budget.permit.check()

    def post_password(self, way: str) -> None:
        self.budget.count(self.driver, way)
