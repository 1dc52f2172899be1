"""The command line offers every command that its modules have, though each is imported only when it is called."""

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import iter_modules

import jwt
import pytest
import typer
from typer.main import get_group
from typer.testing import CliRunner

from tandem_cli import commands
from tandem_cli.app import COMMANDS, app
from tandem_cli.commands import verify
from tandem_cli.issuer import Issuer
from tandem_cli.options import DEFAULT_DATA_DIR, token_command


def test_every_command_of_every_module_can_be_called() -> None:
    offered: dict[str, str] = {}
    for module in iter_modules(commands.__path__):
        alone = typer.Typer()
        import_module(f"{commands.__name__}.{module.name}").register(alone)
        offered |= dict.fromkeys(get_group(alone).commands, module.name)
    assert offered == COMMANDS


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"]).output
    assert [name for name in COMMANDS if f"│ {name} " not in result] == []


def test_the_version_is_shown_and_nothing_heavy_imported() -> None:
    program = (
        "import sys; from tandem_cli.app import app; app(['--version'], standalone_mode=False); print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    shown, modules = ran.stdout.splitlines()
    assert shown == f"tandem {version('tandem-cli')}"
    heavy = {"tandem_cli.stack", "tandem_cli.commands.up", "service_kit.settings", "sqlalchemy", "aiohttp", "aiokafka"}
    assert heavy.isdisjoint(modules.split())


def test_verify_without_a_ledger_does_not_report_a_wrong_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("METRICS_DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    result = CliRunner().invoke(app, ["verify", "--data-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "Nothing runs on" in result.output


def test_an_exact_ledger_is_reported_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    subjects = {"deal": 2, "survey": 3, "activity": 4, "quota": 0}
    verify._show({"ok": True, "events": 9, "subjects": subjects})
    assert "9 events, 2 deals, 3 surveys, 4 activities." in " ".join(capsys.readouterr().out.split())


def test_a_command_that_there_is_not_is_a_plain_word() -> None:
    refused = CliRunner().invoke(app, ["replays"])
    assert refused.exit_code == 2
    assert "No such command 'replays'" in refused.output


def test_the_demo_takes_every_option_of_a_stack_that_up_takes() -> None:
    offered = {
        name: {option for each in get_group(alone).commands[name].params for option in each.opts}
        for name in ("up", "demo")
        if (alone := typer.Typer()) and (import_module(f"{commands.__name__}.{name}").register(alone) or True)
    }
    # The screen of the demo has no lines of the processes.
    assert offered["up"] - offered["demo"] == {"--quiet", "-q"}


@pytest.mark.parametrize("command", ["up", "demo"])
def test_ports_that_there_are_not_are_refused(command: str) -> None:
    refused = CliRunner().invoke(app, [command, "--port-base", "99999"])
    assert refused.exit_code == 2
    words = " ".join(refused.output.replace("│", " ").split())
    assert "Invalid value for '--port-base'" in words
    assert "65531" in words


def test_the_token_command_that_is_shown_works_when_it_is_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TANDEM_DATA_DIR", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(sys, "argv", [str(Path(sys.executable).with_name("tandem"))])
    monkeypatch.chdir(tmp_path)
    assert token_command(DEFAULT_DATA_DIR.resolve()).endswith("token --role admin")
    elsewhere = tmp_path / "with a space"
    shown = token_command(elsewhere)
    token = subprocess.run(shown, shell=True, capture_output=True, text=True, check=True, cwd="/").stdout.strip()  # noqa: S602
    (key,) = json.loads(Issuer(elsewhere / "auth").jwks_file.read_text())["keys"]
    claims = jwt.decode(token, jwt.PyJWK(key), algorithms=["ES256"], options={"verify_aud": False})
    assert claims["roles"] == ["admin"]
