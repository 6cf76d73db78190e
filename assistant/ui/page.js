// What HTML and CSS cannot do: the page's language, live regions, following the answer, the address of a conversation.
(() => {
  document.documentElement.lang = window.confidePages[location.pathname.replace(/\/+$/, "") || "/"] || "en";
  let shown = null;

  // The last question stays at the top while its answer grows below it, until the reader scrolls.
  let asked = 0;
  let follow = true;
  for (const kind of ["wheel", "touchmove"]) addEventListener(kind, () => { follow = false; }, { passive: true });
  const keep = () => {
    const questions = document.querySelectorAll("#main .turn.user");
    if (questions.length !== asked) follow = true;
    asked = questions.length;
    if (!follow || !asked) return;
    const top = questions[asked - 1].getBoundingClientRect().top + scrollY - (narrow() ? 70 : 24);
    scrollTo({ top: Math.min(top, document.documentElement.scrollHeight - innerHeight) });
  };

  const describe = () => {
    const live = document.getElementById("live");
    if (live && !live.hasAttribute("aria-live")) {
      live.setAttribute("aria-live", "polite");
      document.getElementById("thread").setAttribute("role", "log");
    }
  };
  const remember = () => {
    const thread = document.querySelector("#thread .thread[id]");
    const id = thread ? thread.id : "";
    if (id === shown) return;
    shown = id;
    if (document.getElementById("thread")) {
      history.replaceState(null, "", location.pathname + (id ? "?c=" + encodeURIComponent(id) : ""));
    }
  };
  // On a phone the side bar lies over the chat: it starts closed, and closes after a choice.
  const narrow = () => matchMedia("(max-width: 767px)").matches;
  const closeSide = () => {
    const button = document.querySelector("#side.open .toggle-button");
    if (button && narrow()) button.click();
    return Boolean(button);
  };
  let settling = false;
  const settle = () => {
    if (narrow() && closeSide()) setTimeout(settle, 250);  // a click before Gradio listens does nothing
    else document.body.classList.add("settled");
  };
  const changed = () => {
    describe();
    if (!settling && document.getElementById("side")) {
      settling = true;
      setTimeout(settle, 50);
    }
    remember();
    keep();
  };
  const watch = () => new MutationObserver(changed).observe(document.body, { childList: true, subtree: true, characterData: true });
  if (document.body) watch(); else addEventListener("DOMContentLoaded", watch);

  addEventListener("change", (event) => { if (event.target.closest("#history")) closeSide(); });
  addEventListener("click", (event) => { if (event.target.closest("#new")) closeSide(); });

  // Gradio's sanitizer sends every link to a new tab; ours stay in this one.
  addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a.nav");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    location.assign(link.href);
  });

  // A source opens where it stands; the address stays clean, and this view stays where the reader put it.
  addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a.cite");
    const target = link && document.getElementById(link.hash.slice(1));
    if (!target) return;
    event.preventDefault();
    follow = false;
    document.querySelectorAll(".source.shown").forEach((other) => other.classList.remove("shown"));
    target.classList.add("shown");
    target.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  });

  // What a visitor thinks of a card is an event of their own session.
  addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a.act");
    if (!link) return;
    event.preventDefault();
    const [, what, id] = link.hash.match(/^#act-([a-z]+)-(.*)$/) || [];
    const item = id && id.replace(/_([0-9a-f]+)_/g, (_, code) => String.fromCodePoint(parseInt(code, 16)));
    const picked = document.querySelector("#collection input");
    const body = JSON.stringify({ item, event: what, collection: (picked && picked.value) || "" });
    fetch("./v1/recommend/events", { method: "POST", headers: { "content-type": "application/json" }, body }).then((answer) => {
      if (!answer.ok) return;
      link.classList.add("told");
      if (what === "dismiss") link.closest(".good").classList.add("gone");
    });
  });
})();
