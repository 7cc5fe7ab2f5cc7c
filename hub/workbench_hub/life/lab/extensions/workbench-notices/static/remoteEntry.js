// Shows the hub's notices as JupyterLab's own notifications.  Written as JupyterLab loads it, so that nothing
// has to be built: a container of module federation with one module.
(() => {
  "use strict";
  const SECONDS = 30;
  const SEEN = "workbench-notices";
  let scope;

  // Return a package of JupyterLab's own.
  const shared = async (name) => (await Object.values(scope[name])[0].get())();

  const seen = () => JSON.parse(window.localStorage.getItem(SEEN) || "[]");

  const activate = async (app) => {
    const { Notification } = await shared("@jupyterlab/apputils");
    const { ServerConnection } = await shared("@jupyterlab/services");
    const settings = app.serviceManager.serverSettings;
    const address = settings.baseUrl + "workbench/notices?no_track_activity=1";
    const shown = new Map();

    const show = (notices) => {
      const standing = new Set(notices.map((notice) => notice.id));
      for (const [id, number] of shown) {
        if (!standing.has(id)) {
          Notification.dismiss(number);
          shown.delete(id);
        }
      }
      for (const notice of notices) {
        // What is only to be known is shown once in a browser; a warning in each tab.
        if (shown.has(notice.id) || (notice.level === "info" && seen().includes(notice.id))) {
          continue;
        }
        const type = notice.level === "warning" ? "warning" : "info";
        shown.set(notice.id, Notification.emit(notice.text, type, { autoClose: false }));
        window.localStorage.setItem(SEEN, JSON.stringify([notice.id, ...seen()].slice(0, 100)));
      }
    };

    const ask = async () => {
      try {
        const answer = await ServerConnection.makeRequest(address, {}, settings);
        if (answer.ok) {
          show(await answer.json());
        }
      } catch (error) {
        console.debug("no notices:", error); // the server is away; it is asked again
      }
    };

    // Before that nobody shows notifications.
    void app.restored.then(async () => {
      await ask();
      window.setInterval(ask, SECONDS * 1000);
    });
  };

  const plugin = { id: "workbench-notices:plugin", autoStart: true, activate };
  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["workbench-notices"] = {
    init: (given) => {
      scope = given;
    },
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
