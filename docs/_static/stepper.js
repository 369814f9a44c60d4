// Steps through the numbers of the worked example. They come with the page, as JSON; nothing is fetched.
"use strict";
(() => {
  const root = document.getElementById("stepper");
  const { steps, numbers } = JSON.parse(document.getElementById("stepper-data").textContent);
  const graph = root.querySelector(".graph");
  const places = [...root.querySelectorAll(".number")];
  const arrows = [...root.querySelectorAll(".arrow")];
  const last = steps.length - 1;
  let at = 0; // the step shown
  let shown = {}; // the number in each slot, as far as the steps have come
  let pinned = ""; // the number explained while the pointer is on no other

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const html = (element, markup) => {
    element.innerHTML = markup;
    return element;
  };
  const button = (sign, name, action) => {
    const element = make("button", { type: "button", "aria-label": name, title: name }, sign);
    element.addEventListener("click", action);
    return element;
  };

  // Buttons and the line of progress, above the graph.
  const back = [button("|◀", "First step", () => go(0)), button("◀ Back", "One step back", () => go(at - 1))];
  const on = [button("Next ▶", "One step on", () => go(at + 1)), button("▶|", "Last step", () => go(last))];
  const counter = make("span", { class: "counter" });
  const controls = make("div", { class: "controls" }, ...back, ...on, counter);
  const full = button("Full screen", "Full screen, and back again", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else root.requestFullscreen();
  });
  if (document.fullscreenEnabled) controls.append(full);
  const progress = make("input", { type: "range", min: 0, max: last, "aria-label": "Step" });
  progress.addEventListener("input", () => go(Number(progress.value)));
  const phases = make("div", { class: "phases", "aria-hidden": "true" });
  for (const phase of new Set(steps.map((step) => step.phase))) {
    const length = steps.filter((step) => step.phase === phase).length;
    phases.append(make("span", { "data-phase": phase, style: `flex: ${length} 1 0` }, length > 1 ? phase : ""));
  }
  root.prepend(controls, progress, phases);
  // The explanation, below, so that the graph stays where it is under the pointer.
  const explanation = make("div", { class: "explanation", "aria-live": "polite" });
  graph.after(explanation);

  function go(to) {
    at = Math.max(0, Math.min(last, to));
    shown = {};
    for (const step of steps.slice(0, at + 1)) for (const name of step.names) shown[numbers[name].slot] = name;
    for (const place of places) {
      const number = numbers[shown[place.dataset.slot]];
      const now = at > 0 && number?.at === at;
      place.classList.toggle("later", !number);
      place.classList.toggle("now", now);
      place.setAttribute("tabindex", now ? 0 : -1); // tab goes through what is new
      if (!number) continue;
      (place.querySelector("text") ?? place).textContent = number.text;
      place.setAttribute("aria-label", `${number.words}: ${number.text}`);
    }
    for (const element of back) element.setAttribute("aria-disabled", at === 0);
    for (const element of on) element.setAttribute("aria-disabled", at === last);
    counter.textContent = `${at} / ${last}`;
    progress.value = at;
    progress.setAttribute("aria-valuetext", `${steps[at].phase} ${steps[at].number}`);
    for (const span of phases.children) span.classList.toggle("now", span.dataset.phase === steps[at].phase);
    pin(at > 0 ? steps[at].names[0] : "");
    scroll();
  }

  // On a narrow screen the graph scrolls: to what is marked.
  function scroll() {
    const marked = [...graph.querySelectorAll(".chosen, .from")].map((place) => place.getBoundingClientRect());
    if (marked.length === 0) return;
    const sum = Math.min(...marked.map((box) => box.left)) + Math.max(...marked.map((box) => box.right));
    const { left, width } = graph.getBoundingClientRect();
    graph.scrollBy({ left: sum / 2 - left - width / 2 });
  }

  function pin(name) {
    pinned = name;
    explain(name);
  }

  // The equation of a number, the numbers that it came from, and the arithmetic. No name: the step alone.
  function explain(name) {
    const number = numbers[name] ?? { at, slot: "", tokens: [] };
    const sources = number.tokens.filter((token) => token.name).map((token) => numbers[token.name].slot);
    mark(number.slot, sources);
    const step = steps[number.at];
    explanation.replaceChildren(
      html(make("p", { class: "equation" }), `<b>${step.number}</b> ${step.formula}`),
      make("p", { class: "meaning" }, step.meaning),
    );
    if (!name) return;
    explanation.append(make("p", { class: "words" }, `${number.words}:`), arithmetic(name, number));
    if (number.code) explanation.append(make("code", {}, number.code));
  }

  function mark(chosen, sources) {
    for (const place of places) {
      const { slot } = place.dataset;
      place.classList.toggle("chosen", slot === chosen);
      place.classList.toggle("from", sources.includes(slot) && slot !== chosen);
    }
    const boxOf = (slot) => places.find((place) => place.dataset.slot === slot)?.closest(".box")?.dataset.box;
    const end = boxOf(chosen);
    const starts = sources.map(boxOf);
    for (const arrow of arrows) {
      const { from, to } = arrow.dataset;
      const backward = from === end && starts.includes(to);
      arrow.classList.toggle("hot", backward || (to === end && starts.includes(from)));
      arrow.classList.toggle("back", backward);
    }
  }

  // sign = numbers = result, broken into lines only before a plus.
  function arithmetic(name, number) {
    const line = make("div", { class: "arithmetic" });
    let term = make("span", {}, html(make("span"), number.signs[name]));
    if (number.tokens.some((token) => token.name)) { // else it is given
      term.append(` ${number.arrow} `);
      for (const token of number.tokens) {
        const [before, after] = token.name ? [operand(token, number)] : token.text.split(/(?=\+ )/);
        term.append(before);
        if (!after) continue;
        line.append(term);
        term = make("span", {}, after);
      }
    }
    line.append(term, make("span", {}, "= ", make("b", {}, number.text)));
    return line;
  }

  // A number within the arithmetic leads to its own.
  function operand({ name, text }, number) {
    const element = button(text, `${text}, ${numbers[name].words}: where it comes from`, () => {
      pin(name);
      (explanation.querySelector("button") ?? root).focus({ preventScroll: true });
    });
    element.classList.add("operand");
    element.append(html(make("small"), number.signs[name]));
    return element;
  }

  for (const place of places) {
    const name = () => shown[place.dataset.slot];
    place.setAttribute("role", "button");
    place.addEventListener("mouseenter", () => name() && explain(name()));
    place.addEventListener("mouseleave", () => explain(pinned));
    for (const event of ["focus", "click"]) place.addEventListener(event, () => name() && pin(name()));
  }
  root.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (to === undefined || event.target === progress || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    go(to);
  });
  root.classList.add("live");
  go(0);
})();
