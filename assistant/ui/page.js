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
  // The open conversation of the desk shows its end, until something new is said in it again.
  let said = "";
  const latest = () => {
    const turns = document.querySelectorAll("#desk-thread .turn");
    const now = turns.length + document.querySelector("#desk-head h3, #desk-head p")?.textContent;
    if (!turns.length || now === said) return;
    said = now;
    const box = document.getElementById("desk-thread");
    box.scrollTop = box.scrollHeight;
  };
  // Tabs that the account may not use are not shown. (Gradio hides no tab that it has not drawn yet.)
  const unseen = () => {
    const list = document.getElementById("unseen");
    if (!list) return;
    const titles = list.textContent.trim().split("|");
    let other = false;
    for (const tab of document.querySelectorAll("#inside [role=tab], #inside .tab-container button, #inside .overflow-dropdown button")) {
      const away = titles.includes(tab.textContent.trim());
      other = other || tab.hidden !== away;
      tab.hidden = away;
    }
    if (!other) return;
    dispatchEvent(new Event("resize"));  // Gradio then looks again which tabs find room
    const first = document.querySelector("#inside [role=tab]:not([hidden])");
    if (first && document.querySelector("#inside [role=tab][aria-selected=true][hidden]")) first.click();
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
    unseen();
    latest();
    keep();
  };
  const watch = () => new MutationObserver(changed).observe(document.body, { childList: true, subtree: true, characterData: true });
  if (document.body) watch(); else addEventListener("DOMContentLoaded", watch);

  addEventListener("change", (event) => { if (event.target.closest("#history")) closeSide(); });
  addEventListener("click", (event) => { if (event.target.closest("#new")) closeSide(); });

  const element = (name, fields, ...children) => {
    const made = Object.assign(document.createElement(name), fields);
    made.append(...children);
    return made;
  };

  // Gradio's sanitizer sends every link to a new tab; ours stay in this one. A file is saved without leaving: even a
  // navigation that only ends in a download tells Gradio's client that the page goes, and it closes its streams.
  addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a.nav");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.pathname.includes("/receipts/")) element("a", { href: link.href, download: "" }).click();
    else location.assign(link.href);
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

  // A rating is sent with the answer's signed id; each reply has the next one, so that it can be changed.
  const rate = (box, way, more) => {
    const link = box.querySelector("a.rate[href*='#rate-" + way + "-']");
    const answer = link.hash.replace(/^#rate-[a-z]+-/, "");
    const body = JSON.stringify({ answer, rating: way, ...more });
    return fetch("./v1/feedback", { method: "POST", headers: { "content-type": "application/json" }, body }).then(async (reply) => {
      if (!reply.ok) throw new Error(reply.status);
      const { answer: next } = await reply.json();
      box.querySelectorAll("a.rate").forEach((one) => {
        one.classList.toggle("told", one === link);
        one.setAttribute("aria-pressed", String(one === link));
        one.setAttribute("href", one.getAttribute("href").replace(/#rate-([a-z]+)-.*$/, (_, kind) => "#rate-" + kind + "-" + next));
      });
    });
  };
  const opinion = (box, way) => {
    const [ask, allow, send, thanks, refused] = box.querySelector(".words").textContent.split("|");
    box.parentElement.querySelectorAll("form.opinion").forEach((old) => old.remove());
    const text = element("textarea", { maxLength: 4000, rows: 2, placeholder: ask });
    text.setAttribute("aria-label", ask);
    const consent = element("input", { type: "checkbox" });
    const note = element("span", { className: "quiet" });
    note.setAttribute("role", "status");
    const form = element("form", { className: "opinion" }, ...(way === "down" ? [text] : []),
      element("label", {}, consent, " " + allow), element("button", { type: "submit", textContent: send }), note);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      rate(box, way, { correction: text.value, consent: consent.checked })
        .then(() => { form.replaceChildren(element("span", { className: "quiet", textContent: thanks })); })
        .catch(() => { note.textContent = refused; });
    });
    box.after(form);
  };
  addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a.rate");
    if (!link) return;
    event.preventDefault();
    const way = link.hash.split("-")[1];
    const box = link.closest(".rates");
    rate(box, way, {}).then(() => opinion(box, way)).catch(() => { link.classList.add("failed"); });
  });
})();
