// Keeps a page current: fetches it again and puts the new content in place. Without it a page is complete, only still.
(() => {
  const every = Number(document.body.dataset.live || 0);
  if (!every) return;
  const step = async () => {
    if (!document.hidden && !getSelection().toString()) {
      try {
        const answer = await fetch(location.href, { cache: "no-store" });
        if (answer.ok) {
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          document.querySelector("main").replaceWith(page.querySelector("main"));
          document.body.classList.remove("stale");
        }
      } catch { document.body.classList.add("stale"); }
    }
    setTimeout(step, every);
  };
  setTimeout(step, every);
})();
