// The chat on any page: <script src="https://assistant.example/widget.js" data-collection="shop" defer></script>
// Nothing is asked of the server before the visitor opens it. No HTML is made of text, no style is inline: a strict
// policy is kept.
(() => {
  "use strict";
  const script = document.currentScript;
  const base = new URL(".", script.src).href;
  const { collection = "", lang, dir } = script.dataset;
  const WORDS = {
    en: {
      open: "Ask us", close: "Close the chat", again: "New conversation", title: "Assistant", ask: "Ask a question …",
      send: "Send", stop: "Stop", hello: "How can we help?", promise: "Answers quote our own documents.", you: "You",
      person: "Talk to a person", handover: "I would like to talk to a person", contact: "You can reach a person here:",
      sources: "Sources", source: "Source", page: "page", doing: "Looking in the documents …", waiting: "Your question is number # in the line …", up: "Helpful",
      down: "Not helpful", correction: "What would be right?", consent: "This conversation may be used to improve the assistant",
      submit: "Send", thanks: "Thank you.", view: "View", dismiss: "Not for me", stock: "in stock", none: "out of stock",
      failed: "That did not work. Please try again.", NOT_IN_KNOWLEDGE_BASE: "Not in our documents",
      NEEDS_HUMAN: "A person will take over", COMPONENT_FAILED: "Something is not working; these passages may help",
      desk_waiting: "You are waiting for a person. The assistant still answers meanwhile.", desk_taken: "# is with you and answers here.",
      desk_returned: "The assistant answers again.", email: "E-mail address for an answer", leave: "Leave it", news: "New message",
      rate_limit: "Too many questions. Please try again in # s.", overloaded: "The assistant is busy. Please try again in # s.",
      context_length_exceeded: "The question is too long: at most # characters are read.", gone: "This conversation is not kept any more. Please ask again.",
    },
    zh: {
      open: "咨询", close: "关闭对话", again: "新对话", title: "智能助手", ask: "请输入您的问题……",
      send: "发送", stop: "停止", hello: "请问有什么可以帮您？", promise: "回答均引用我们的资料原文。", you: "您",
      person: "转人工", handover: "我想转人工客服", contact: "人工客服联系方式：",
      sources: "出处", source: "出处", page: "页", doing: "正在查找资料……", waiting: "您的问题排在第 # 位……", up: "有帮助",
      down: "没有帮助", correction: "正确的答案应该是什么？", consent: "允许用这段对话来改进智能助手",
      submit: "提交", thanks: "谢谢您的反馈。", view: "查看", dismiss: "不合适", stock: "件有货", none: "暂时缺货",
      failed: "出了点问题，请重试。", NOT_IN_KNOWLEDGE_BASE: "资料中没有",
      NEEDS_HUMAN: "转人工客服", COMPONENT_FAILED: "部分组件出错，以下资料可能有帮助",
      desk_waiting: "正在等待人工客服，其间智能助手仍会回答您。", desk_taken: "#正在为您服务，会在这里回复您。",
      desk_returned: "现在由智能助手继续回答。", email: "接收回复的邮箱", leave: "留下邮箱", news: "新消息",
      rate_limit: "提问过多，请在 # 秒后重试。", overloaded: "智能助手正忙，请在 # 秒后重试。",
      context_length_exceeded: "问题过长，最多 # 个字符。", gone: "此对话已不再保存，请重新提问。",
    },
  };
  const wanted = (lang || document.documentElement.lang || navigator.language || "en").slice(0, 2).toLowerCase();
  const language = WORDS[wanted] ? wanted : "en";
  const say = WORDS[language];
  const STYLE = `
:host { all: initial; --accent: #0f766e; --ink: #1c1917; --soft: #57534e; --paper: #fff; --tint: #f5f5f4; --line: #d6d3d1; --bad: #b91c1c;
  --mark: #fef3c7; position: fixed; z-index: 2147483000; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "PingFang SC", "Microsoft YaHei", sans-serif; }
@media (prefers-color-scheme: dark) { :host { --accent: #2dd4bf; --ink: #f5f5f4; --soft: #a8a29e; --paper: #1c1917; --tint: #292524; --line: #57534e; --bad: #fca5a5; --mark: #713f12; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
button, textarea, input { font: inherit; color: inherit; }
button { cursor: pointer; border: 0; background: none; border-radius: 8px; padding: 6px 10px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.bubble { position: fixed; inset-block-end: 20px; inset-inline-end: 20px; min-height: 48px; padding: 12px 20px; border-radius: 999px; background: #0f766e; color: #fff;
  font-weight: 600; box-shadow: 0 4px 16px rgb(0 0 0 / .25); }
.panel { position: fixed; inset-block-end: 84px; inset-inline-end: 20px; width: min(400px, calc(100vw - 40px)); height: min(640px, calc(100dvh - 110px)); display: flex; flex-direction: column;
  color: var(--ink); background: var(--paper); border: 1px solid var(--line); border-radius: 16px; box-shadow: 0 12px 40px rgb(0 0 0 / .3); overflow: hidden; }
header { display: flex; align-items: center; gap: 4px; padding: 10px 8px 10px 16px; border-bottom: 1px solid var(--line); }
header h2 { flex: 1; margin: 0; font-size: 16px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.log { flex: 1; overflow-y: auto; padding: 14px 16px; overflow-wrap: anywhere; }
.log p { margin: 0 0 10px; }
.quiet { color: var(--soft); font-size: 13px; }
.examples { display: flex; flex-direction: column; gap: 8px; margin-top: 12px; }
.examples button { border: 1px solid var(--line); text-align: start; padding: 8px 12px; }
.me { margin: 14px 0 10px auto; width: fit-content; max-width: 85%; padding: 8px 12px; border-radius: 14px 14px 4px 14px; background: var(--tint); white-space: pre-wrap; }
[dir=rtl] .me { margin: 14px auto 10px 0; }
.said { white-space: pre-wrap; }
.cite { padding: 0 5px; min-width: 20px; margin-inline: 2px; font-size: 12px; line-height: 18px; vertical-align: 2px; background: var(--tint); color: var(--accent); border-radius: 6px; font-weight: 600; }
.outcome { display: inline-block; margin-top: 6px; padding: 1px 10px; border: 1px solid var(--line); border-radius: 999px; font-size: 13px; color: var(--soft); }
.by { display: block; font-size: 13px; color: var(--accent); font-weight: 600; } .person .said { padding: 8px 12px; border: 1px solid var(--line); border-radius: 4px 14px 14px 14px; width: fit-content; max-width: 85%; }
.desk { margin: 14px auto 6px; padding: 4px 14px; width: fit-content; max-width: 100%; border-radius: 14px; background: var(--tint); font-size: 13px; text-align: center; }
.desk form { display: flex; gap: 6px; margin: 6px 0; } .desk input { flex: 1; min-width: 0; border: 1px solid var(--line); border-radius: 8px; padding: 5px 8px; background: var(--paper); }
.desk button { border: 1px solid var(--line); }
.sources { margin-top: 8px; } .sources h3 { margin: 0 0 4px; font-size: 13px; color: var(--soft); }
details { border-top: 1px solid var(--line); font-size: 13px; } summary { cursor: pointer; padding: 6px 0; }
blockquote { margin: 0 0 8px; padding: 6px 10px; background: var(--mark); border-radius: 6px; white-space: pre-wrap; }
.cards { display: grid; gap: 8px; margin-top: 8px; padding: 0; list-style: none; }
.card { border: 1px solid var(--line); border-radius: 10px; padding: 8px 12px; } .card.gone { opacity: .45; }
.card b { display: block; } .card ul { margin: 4px 0; padding-inline-start: 18px; font-size: 13px; color: var(--soft); }
.card a, .log a { color: var(--accent); } .row { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; margin-top: 6px; }
.row button { padding: 4px 8px; font-size: 13px; color: var(--soft); border: 1px solid transparent; min-height: 28px; }
.row button[aria-pressed=true] { border-color: var(--accent); color: var(--accent); font-weight: 600; }
.opinion { display: grid; gap: 8px; margin-top: 8px; font-size: 13px; } .opinion textarea { border: 1px solid var(--line); border-radius: 8px; padding: 6px 8px; background: none; }
.opinion button { justify-self: start; border: 1px solid var(--line); }
.bad { color: var(--bad); padding: 0 16px 8px; font-size: 14px; }
form.ask { display: flex; gap: 8px; align-items: flex-end; padding: 10px 12px; border-top: 1px solid var(--line); }
form.ask textarea { flex: 1; resize: none; max-height: 120px; padding: 9px 12px; border: 1px solid var(--line); border-radius: 12px; background: var(--paper); }
form.ask button { background: #0f766e; color: #fff; padding: 9px 14px; font-weight: 600; }
footer { padding: 0 12px 8px; } footer button { font-size: 13px; color: var(--soft); text-decoration: underline; }
@media (max-width: 480px) { .panel { inset: 0; width: auto; height: auto; border: 0; border-radius: 0; } .panel:not([hidden]) ~ .bubble { display: none; }
  form.ask textarea { font-size: 16px; } }
@media (prefers-reduced-motion: no-preference) { .panel { animation: rise .15s ease-out; } @keyframes rise { from { opacity: 0; transform: translateY(8px); } } }`;

  // Elements

  const make = (name, fields, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(fields || {})) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (key in made && !key.includes("-")) made[key] = value;
      else made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  };
  const button = (text, onclick, fields) => make("button", { type: "button", onclick, ...fields }, text);

  // What is remembered of the visitor on this site: their pass and their conversation.

  const KEY = "confide " + base + " " + collection;
  let state = {};
  try { state = JSON.parse(localStorage.getItem(KEY)) || {}; } catch { /* a page may forbid it: then nothing is remembered */ }
  const remember = (more) => {
    Object.assign(state, more);
    try { localStorage.setItem(KEY, JSON.stringify(state)); } catch { /* as above */ }
  };

  const call = async (path, body, signal) => {
    const send = () => fetch(base + "v1/" + path, {
      method: body ? "POST" : "GET", credentials: "omit", referrerPolicy: "no-referrer", signal,
      headers: { ...(body && { "content-type": "application/json" }), ...(state.token && { authorization: "Bearer " + state.token }) },
      body: body && JSON.stringify(body),
    });
    let answer = await send();
    if (answer.status === 401 && path !== "visitors") {
      await arrive(true);
      if (body) delete body.conversation;
      answer = await send();
    }
    if (!answer.ok) throw refused((await answer.json().catch(() => ({}))).error || {});
    return answer;
  };
  // The server's own words are English: elsewhere they are said by their code, with the last number that they name.
  const refused = ({ code, param, message = "" }) => {
    const why = code === "not_found" && param === "conversation" ? "gone" : code;
    const words = say[why] && say[why].replace("#", (message.match(/\d+/g) || ["…"]).pop());
    return Object.assign(new Error(words || (language === "en" && message) || say.failed), { why });
  };
  const arrive = async (anew) => {
    if (anew) state = {};
    if (state.token && Date.now() < state.renew) return;
    let made;
    try {
      made = await (await call("visitors", { collection })).json();
    } catch (error) {
      if (state.token) return;  // the old pass still does
      throw error;
    }
    remember({ renew: Date.now() + Math.min(86400, made.seconds / 2) * 1000, token: made.token, company: made.company, contact: made.contact, examples: made.examples, collection: made.collection });
  };

  // The pieces of an answer

  const cited = (text, annotations) => {
    const places = annotations.map((one) => one.url_citation);
    const order = [...new Set(places.map((one) => one.confide.passage_id))];
    const letters = Array.from(text);  // the server counts characters, not their halves
    const marks = places.map((one) => [one.end_index, order.indexOf(one.confide.passage_id) + 1]).sort((a, b) => a[0] - b[0]);
    const said = make("div", { className: "said" });
    let at = 0;
    marks.forEach(([end, number], n) => {
      if (marks[n + 1] && marks[n + 1][0] === end && marks[n + 1][1] === number) return;
      said.append(letters.slice(at, end).join(""));
      at = Math.max(at, end);
      said.append(button(String(number), (event) => show(event.target, number), { className: "cite", "aria-label": say.source + " " + number }));
    });
    said.append(letters.slice(at).join(""));
    return [said, order.map((id, n) => source(n + 1, places.filter((one) => one.confide.passage_id === id)))];
  };
  const show = (from, number) => {
    const found = from.closest(".answer").querySelectorAll("details")[number - 1];
    found.open = true;
    found.querySelector("summary").focus();
    found.scrollIntoView({ block: "nearest" });
  };
  const source = (number, places) => {
    const { document: name, page, headings } = places[0].confide;
    const where = [name, ...headings, ...(page ? [say.page + " " + page] : [])].join(" › ");
    return make("details", {}, make("summary", {}, number + ". " + where), ...places.map((one) => make("blockquote", {}, one.confide.quote)));
  };
  const card = (one) => {
    const { item } = one;
    const tell = (event) => call("recommend/events", { item: item.id, event, collection: state.collection }).catch(() => {});
    const yuan = language === "zh" && item.currency === "CNY";
    const price = item.price === null ? "" : yuan ? "¥" + item.price : item.price + " " + item.currency;
    const stock = item.stock === null ? "" : item.stock ? item.stock + " " + say.stock : say.none;
    const box = make("li", { className: "card" }, make("b", {}, item.names[language] || item.name),
      make("span", {}, [price, stock].filter(Boolean).join(" · ")),
      make("ul", {}, ...one.reasons.map((reason) => make("li", {}, reason.text))));
    const row = make("div", { className: "row" });
    if (/^https?:\/\//.test(item.url)) {
      row.append(make("a", { href: item.url, target: "_blank", rel: "noopener noreferrer", onclick: () => tell("click") }, say.view));
    }
    row.append(button(say.dismiss, () => { tell("dismiss"); box.classList.add("gone"); }));
    box.append(row);
    return box;
  };
  const person = (contact) => {
    const mail = /^[^\s@]+@[^\s@]+$/.test(contact);
    const shown = mail || /^https:\/\//.test(contact) ? make("a", { href: (mail ? "mailto:" : "") + contact, rel: "noopener" }, contact) : contact;
    return make("p", {}, say.contact + " ", shown);
  };
  const rating = (about) => {
    let ticket = about.answer;
    const rate = async (way, more) => {
      const told = await (await call("feedback", { answer: ticket, rating: way, ...more })).json();
      ticket = told.answer;
      for (const [kind, one] of Object.entries(buttons)) one.setAttribute("aria-pressed", String(kind === way));
    };
    const box = make("div");
    const pick = (way) => () => rate(way, {}).then(() => box.replaceChildren(row, opinion(way))).catch((error) => wrong(error.message));
    const opinion = (way) => {
      const text = make("textarea", { rows: 2, maxLength: 4000, placeholder: say.correction, "aria-label": say.correction });
      const allow = make("input", { type: "checkbox" });
      const send = (event) => {
        event.preventDefault();
        rate(way, { correction: way === "down" ? text.value : "", consent: allow.checked })
          .then(() => form.replaceChildren(make("span", { role: "status" }, say.thanks)))
          .catch((error) => wrong(error.message));
      };
      const form = make("form", { className: "opinion", onsubmit: send }, way === "down" ? text : "",
        make("label", {}, allow, " " + say.consent), make("button", { type: "submit" }, say.submit));
      return form;
    };
    const buttons = {};
    for (const way of ["up", "down"]) {
      buttons[way] = button(say[way], pick(way), { "aria-pressed": String(about.rating === way), className: "rate" });
    }
    const row = make("div", { className: "row" }, buttons.up, buttons.down);
    box.append(row);
    return box;
  };
  const answered = (box, text, annotations, about) => {
    const [said, sources] = cited(text, annotations || []);
    const parts = [said];
    const goods = (about.advice && about.advice.recommendations) || [];
    if (goods.length) parts.push(make("ul", { className: "cards" }, ...goods.map(card)));
    if (say[about.outcome]) parts.push(make("span", { className: "outcome" }, say[about.outcome]));
    if (about.contact) parts.push(person(about.contact));
    if (sources.length) parts.push(make("div", { className: "sources" }, make("h3", {}, say.sources), ...sources));
    if (about.answer) parts.push(rating(about));
    box.replaceChildren(...parts);
  };

  // The conversation

  let running = null;
  let opened = Promise.resolve();  // what was said before is drawn; a question waits for it, or would be drawn over
  const mine = (text) => log.append(make("div", { className: "me", "aria-label": say.you + ": " + text }, text));
  const bottom = () => { log.scrollTop = log.scrollHeight; };
  const wrong = (text) => { alarm.textContent = text; alarm.hidden = !text; };

  const ask = async (question) => {
    if (running || !question.trim()) return;
    running = new AbortController();
    busy(true);
    await opened;
    wrong("");
    if (!state.conversation) log.replaceChildren();
    const id = fresh();
    drawn.add(id);
    mine(question);
    const box = make("div", { className: "answer", "aria-busy": "true" }, make("p", { className: "quiet" }, say.doing));
    log.append(box);
    bottom();
    const told = { text: "" };
    try {
      await arrive(false);
      for (let tries = 0; ; tries += 1) {
        try {
          await hear(question, id, box, told);
          break;
        } catch (error) {  // the line broke: sent again with its id, a message is kept and answered once
          if (!(error instanceof TypeError) || tries === 3 || running.signal.aborted) throw error;
          await new Promise((done) => { setTimeout(done, 1000 << tries); });
        }
      }
    } catch (error) {
      if (!told.text) box.replaceChildren();
      if (box.isConnected) {  // else a new conversation was begun meanwhile
        halves.set(id, box);  // what was kept of it is drawn here, once it is read
        if (told.thread) remember({ conversation: told.thread });
      }
      gone(error);
      if (error.name !== "AbortError") wrong(error instanceof TypeError ? say.failed : error.message);
    }
    box.setAttribute("aria-busy", "false");
    running = null;
    busy(false);
    bottom();
  };
  const hear = async (question, id, box, told) => {
    const said = make("div", { className: "said" });
    told.text = "";
    const body = { model: state.collection, stream: true, message_id: id, messages: [{ role: "user", content: question }] };
    if (state.conversation) body.conversation = state.conversation;
    const reply = await call("chat/completions", body, running.signal);
    for await (const chunk of events(reply)) {
      if (chunk.error) throw refused(chunk.error);
      if (chunk.position) {
        box.firstChild.textContent = say.waiting.replace("#", chunk.position);
        continue;
      }
      told.thread = chunk.id.slice("chatcmpl-".length);  // known before the end, which a stopped answer has not
      const choice = chunk.choices[0];
      if (choice.delta.content) {
        if (!told.text) box.replaceChildren(said);
        told.text += choice.delta.content;
        said.append(choice.delta.content);
        requestAnimationFrame(bottom);
      }
      if (choice.finish_reason) {
        finish(box, told.text, choice.delta.annotations, chunk.confide);
        return;
      }
    }
    throw new TypeError("cut off");
  };
  const finish = (box, text, annotations, about) => {
    remember({ conversation: about.conversation });
    drawn.add(about.turn);
    if (about.person) box.remove();  // they answer, in their time
    else answered(box, text, annotations, about);
    if (about.person || about.outcome === "NEEDS_HUMAN" || standing !== "") look();
  };

  // A person in the assistant's place: while one is needed, the page asks for news; what was drawn is not drawn again.

  let drawn = new Set(), halves = new Map(), half, last = 0, standing = "", timer = 0;  // halves: question -> its box
  const fresh = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const line = make("div", { className: "desk", role: "status", hidden: true });
  const draw = (turn) => {
    last = Math.max(last, turn.number);
    if (turn.role === "user") half = halves.get(turn.id);
    if (drawn.has(turn.id)) return;
    drawn.add(turn.id);
    if (turn.role === "user") { mine(turn.content); return; }
    const box = (!turn.by && half) || make("div", { className: turn.by ? "answer person" : "answer" });
    if (turn.confide) answered(box, turn.content, turn.annotations, turn.confide);
    else box.append(turn.by ? make("b", { className: "by" }, turn.by) : "", make("div", { className: "said" }, turn.content), turn.answer ? rating(turn) : "");
    if (!box.isConnected) log.append(box);
    if (turn.by && panel.hidden) bubble.textContent = say.news;
  };
  const stand = (thread) => {
    const now = say["desk_" + thread.desk] ? thread.desk : "";
    const key = now + thread.person + thread.reachable + thread.open;
    if (key !== standing) {
      line.replaceChildren(now && say["desk_" + now].replace("#", thread.person));
      if (now === "waiting" && !thread.open && !thread.reachable) line.append(address());
    }
    standing = now && key;
    line.remove();
    line.hidden = !now || (now === "returned" && !log.lastElementChild.matches(".person"));
    log.append(line);
    return now === "waiting" || now === "taken";
  };
  const address = () => {
    const field = make("input", { type: "email", required: true, maxLength: 254, placeholder: say.email, "aria-label": say.email });
    const send = (event) => {
      event.preventDefault();
      call("conversations/" + state.conversation + "/address", { email: field.value }).then(look).catch((error) => wrong(error.message));
    };
    return make("form", { onsubmit: send }, field, make("button", { type: "submit" }, say.leave));
  };
  const look = async () => {
    clearTimeout(timer);
    let goes = true;
    if (!running && !document.hidden) {
      try {
        await arrive(false);
        const thread = await (await call("conversations/" + state.conversation + "?after=" + last)).json();
        if (running) { timer = setTimeout(look, 3000); return; }
        thread.data.forEach(draw);
        goes = stand(thread);
        if (thread.data.length) bottom();
      } catch (error) {
        goes = error instanceof TypeError;
        if (gone(error)) wrong(error.message);
      }
    }
    clearTimeout(timer);
    if (goes && state.conversation) timer = setTimeout(look, panel.hidden ? 15000 : 3000);
  };
  const gone = (error) => {
    if (error.why !== "gone") return false;
    remember({ conversation: "" });
    standing = "";
    line.hidden = true;
    return true;
  };
  async function* events(reply) {
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith(": position ")) yield { position: line.slice(11) };
        if (line.startsWith("data: {")) yield JSON.parse(line.slice(6));
      }
    }
  }
  const welcome = () => {
    const name = (state.company && (state.company[language] || Object.values(state.company)[0])) || "";
    heading.textContent = name || say.title;
    const examples = ((state.examples || {})[language] || []).slice(0, 3);
    log.replaceChildren(make("p", {}, say.hello), make("p", { className: "quiet" }, say.promise),
      make("div", { className: "examples" }, ...examples.map((text) => button(text, () => ask(text)))));
  };
  const clean = () => {
    drawn = new Set();
    halves = new Map();
    half = undefined;
    last = 0;
  };
  const restore = async () => {
    clearTimeout(timer);
    clean();
    welcome();
    if (!state.conversation) return;
    let thread;
    try {
      thread = await (await call("conversations/" + state.conversation)).json();
    } catch (error) {
      if (gone(error)) return;
      throw error;
    }
    if (!thread.data.length) return;
    log.replaceChildren();
    thread.data.forEach(draw);
    if (stand(thread)) timer = setTimeout(look, 3000);
    bottom();
  };

  // The panel

  const host = document.createElement("confide-widget");
  const shadow = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  shadow.adoptedStyleSheets = [sheet];
  const heading = make("h2", { id: "title" }, say.title);
  const log = make("div", { className: "log", role: "log", "aria-live": "polite", tabIndex: 0, "aria-labelledby": "title" });
  const alarm = make("div", { className: "bad", role: "alert", hidden: true });
  const field = make("textarea", { rows: 1, maxLength: 4000, placeholder: say.ask, "aria-label": say.ask });
  const send = make("button", { type: "submit" }, say.send);
  const stop = button(say.stop, () => running && running.abort(), { hidden: true });
  const busy = (on) => { send.hidden = on; stop.hidden = !on; };
  const submit = (event) => {
    event.preventDefault();
    if (running) return;
    const question = field.value;
    field.value = "";
    grow();
    ask(question);
  };
  const grow = () => { field.rows = Math.min(4, field.value.split("\n").length); };
  field.addEventListener("input", grow);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
  const close = button("✕", () => toggle(false), { "aria-label": say.close, className: "close" });
  const again = button("↺", () => {
    if (running) running.abort();
    remember({ conversation: "" });
    clearTimeout(timer);
    clean();
    standing = "";
    wrong("");
    welcome();
    field.focus();
  }, { "aria-label": say.again, title: say.again, className: "again" });
  const panel = make("section", { className: "panel", id: "panel", role: "dialog", "aria-labelledby": "title", hidden: true },
    make("header", {}, heading, again, close), log, alarm, make("form", { className: "ask", onsubmit: submit }, field, send, stop),
    make("footer", {}, button(say.person, () => ask(say.handover), { className: "person" })));
  const bubble = button(say.open, () => toggle(panel.hidden), { className: "bubble", "aria-expanded": "false", "aria-controls": "panel" });
  let begun = false;
  const toggle = (open) => {
    panel.hidden = !open;
    bubble.setAttribute("aria-expanded", String(open));
    (open ? field : bubble).focus();
    if (open) bubble.textContent = say.open;
    if (open && begun && standing) look();
    if (!open || begun) return;
    begun = true;
    opened = arrive(false).then(restore).catch((error) => { begun = false; wrong(error instanceof TypeError ? say.failed : error.message); });
  };
  panel.addEventListener("keydown", (event) => { if (event.key === "Escape") toggle(false); });
  const place = () => {
    const way = dir || getComputedStyle(document.body).direction;
    host.dir = way;
    const frame = make("div", { dir: way, lang: language }, panel, bubble);
    shadow.append(frame);
    document.body.append(host);
  };
  if (document.body) place(); else addEventListener("DOMContentLoaded", place);
})();
