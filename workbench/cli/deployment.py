"""``workbench settings``: what this deployment is set to."""

from __future__ import annotations

import click
from pydantic import SecretStr, ValidationError

from workbench.errors import InvalidSetting
from workbench.settings import Settings

__all__ = ["settings"]


@click.command()
def settings() -> None:
    """Print the settings of this deployment: variable, value, meaning."""
    try:
        current = Settings()
    except ValidationError as error:
        said = "; ".join(f"WORKBENCH_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
        raise InvalidSetting("settings", said, "Correct the environment variable.") from error
    for name, field in Settings.model_fields.items():
        value = getattr(current, name)
        shown = ("(set)" if value.get_secret_value() else "") if isinstance(value, SecretStr) else value
        click.echo(f"WORKBENCH_{name.upper()}={'' if shown is None else shown}")
        click.echo(f"    {field.description}")
