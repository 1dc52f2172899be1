"""What rows of leads and deals refer to by name only: salespeople, products, exchange rates."""

from collections.abc import Sequence

from tandem_cli.imports.mapping import ExchangeRate
from tandem_cli.imports.plan import Needed
from tandem_cli.requests import Ref


class Catalogue:
    """Makes each of them once."""

    def __init__(self, team: str, rates: Sequence[ExchangeRate]) -> None:
        """`team` is that of the salespeople."""
        self.needed: dict[Ref, Needed] = {}
        self._team = team
        for rate in rates:
            ref = Ref("sales/exchange-rates", f"{rate.currency}@{rate.day}")
            body = {"currency": rate.currency, "on": rate.day, "rate": rate.rate}
            self.needed[ref] = Needed(ref, body, by_code=True)

    def rep(self, name: str | None) -> Ref | None:
        """Return a salesperson of the team, whom rows call so."""
        if name is None:
            return None
        team, rep = Ref("sales/teams", self._team), Ref("sales/reps", name)
        self.needed.setdefault(team, Needed(team, {"name": self._team}))
        self.needed.setdefault(rep, Needed(rep, {"name": name[:200], "team_id": team}))
        return rep

    def product(self, code: str) -> None:
        """See to it that there is a product with this code."""
        ref = Ref("sales/products", code)
        self.needed.setdefault(ref, Needed(ref, {"code": code, "name": code}, by_code=True))
