// A browser starts no worker for a page that is opened from a folder. There, the site's search,
// which is written as a worker, runs in a hidden frame of the page.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.started = new Promise((resolve) => {
        frame.addEventListener("load", () => resolve(this.start(frame, url)), { once: true });
      });
      document.body.append(frame);
    }

    async start(frame, url) {
      const inside = frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = async (...urls) => {
        for (const one of urls) await load(frame.contentDocument, one);
      };
      await load(frame.contentDocument, url);
      return inside;
    }

    async postMessage(data) {
      const inside = await this.started;
      inside.dispatchEvent(new MessageEvent("message", { data }));
    }
  };

  const load = (page, url) =>
    new Promise((resolve, reject) => {
      const script = page.createElement("script");
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => reject(new Error(`${url} does not load`)));
      script.src = new URL(url, location.href).href;
      page.head.append(script);
    });
}
