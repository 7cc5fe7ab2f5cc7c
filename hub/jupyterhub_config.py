"""The hub of the embedded default: everything on one machine, for people who trust each other."""

import os
import sys
from pathlib import Path

from workbench.settings import Settings
from workbench_hub import logs, spawner
from workbench_hub.deployment import Deployment, package_file

c = get_config()  # type: ignore[name-defined]  # noqa: F821
d = Deployment(Settings())
service = "access:services!service=workbench"

c.JupyterHub.bind_url = f"http://127.0.0.1:{d.port}/"
c.JupyterHub.hub_ip, c.JupyterHub.hub_port = "127.0.0.1", d.ports["hub"]
c.JupyterHub.db_url = f"sqlite:///{d.hub / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(d.hub / "cookie_secret")
# Hub and proxy come and go alone: users' servers outlive both.
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{d.ports['proxy_api']}"
c.JupyterHub.cleanup_servers = c.JupyterHub.cleanup_proxy = False
c.JupyterHub.last_activity_interval = 2  # a proxy that was started again gets its routes back in this time
c.JupyterHub.shutdown_on_logout = False
c.JupyterHub.logging_config = logs.config({"JupyterHub": "INFO", "tornado": "WARNING"})

c.JupyterHub.authenticator_class = "workbench_hub.passwords.PasswordAuthenticator"
c.PasswordAuthenticator.path = str(d.passwords)
c.Authenticator.allow_all = True  # that is, all who are in the file

c.JupyterHub.services = [
    {
        "name": "workbench",
        "url": f"http://127.0.0.1:{d.ports['api']}",
        "api_token": d.tokens["api"],
        "oauth_redirect_uri": "/services/workbench/oauth_callback",
        "oauth_no_confirm": True,
    },
    {"name": "down", "api_token": d.tokens["down"]},
]
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", service]},
    {"name": "down", "scopes": ["list:users", "read:servers", "delete:servers"], "services": ["down"]},
]

c.JupyterHub.spawner_class = "workbench_hub.spawner.LocalSpawner"
c.Spawner.server_token_scopes = ["users:activity!user", "access:servers!server", service]
c.LocalSpawner.state_dir, c.LocalSpawner.archive = str(d.state), str(d.archive)
c.LocalSpawner.services_url = f"{d.url}services/workbench/"
c.LocalSpawner.dask, c.LocalSpawner.dask_tls = f"tls://127.0.0.1:{d.ports['scheduler']}", str(d.tls)
c.LocalSpawner.bin_dir = str(Path(sys.executable).parent)
c.LocalSpawner.home_dir_template = f"{d.homes}/{{username}}"
c.LocalSpawner.default_url = "/lab"
c.LocalSpawner.args = [
    f"--LabApp.app_settings_dir={package_file('lab')}",
    *["--allow-root"] * (os.geteuid() == 0),
]
c.JupyterHub.template_vars = {"announcement": spawner.UNISOLATED}
