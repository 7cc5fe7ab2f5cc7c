"""The hub.  What differs from profile to profile is in `workbench_hub.configuration`, and what a site
decides is in its policy; what neither foresees goes into ``config.d/*.py`` beside the policy."""  # noqa: D205, D209

from workbench.settings import Settings
from workbench_hub import logs
from workbench_hub.configuration import PROFILES
from workbench_hub.deployment import Deployment
from workbench_hub.life import wiring

c = get_config()  # type: ignore[name-defined]  # noqa: F821
d = Deployment(Settings())
service = "access:services!service=workbench"

c.JupyterHub.bind_url = f"http://127.0.0.1:{d.port}/"
c.JupyterHub.hub_ip, c.JupyterHub.hub_port = d.ip, d.ports["hub"]
c.JupyterHub.db_url = d.database_url
c.JupyterHub.cookie_secret_file = str(d.hub / "cookie_secret")
# Hub and proxy come and go alone: users' servers outlive both.
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{d.ports['proxy_api']}"
c.JupyterHub.cleanup_servers = c.JupyterHub.cleanup_proxy = False
c.JupyterHub.last_activity_interval = 2  # a proxy that was started again gets its routes back in this time
c.JupyterHub.shutdown_on_logout = False
# Tornado's lines go by way of the hub's logger: a handler of their own would write each twice.
c.JupyterHub.logging_config = logs.config({"JupyterHub": "INFO", "workbench_hub": "INFO"})

c.JupyterHub.services = [
    {
        "name": "workbench",
        "url": f"http://{d.ip}:{d.ports['api']}",
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
c.Spawner.server_token_scopes = ["users:activity!user", "access:servers!server", service]
c.Spawner.default_url = "/lab"

PROFILES[d.profile](c, d)
wiring.configure(c, d)
for fragment in d.fragments:
    load_subconfig(str(fragment))  # type: ignore[name-defined]  # noqa: F821
