// Browsers start no worker from a file. This one runs the search in a hidden frame instead, for pages that are files.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const script = new URL(url, location).href;
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "search";
      frame.srcdoc = "<!doctype html><title>search</title><body></body>";
      this.frame = frame;
      this.ready = new Promise((resolve, reject) => {
        frame.addEventListener("load", () => {
          const scope = frame.contentWindow;
          const run = (source) => new Promise((done, failed) => {
            const element = scope.document.createElement("script");
            element.src = new URL(source, script).href;
            element.onload = done;
            element.onerror = failed;
            scope.document.body.append(element);
          });
          scope.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
          scope.importScripts = (...sources) => sources.reduce((before, source) => before.then(() => run(source)), Promise.resolve());
          run(script).then(() => resolve(scope), reject);
        }, { once: true });
      });
      document.body.append(frame);
    }

    postMessage(data) {
      this.ready.then((scope) => scope.dispatchEvent(new scope.MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
