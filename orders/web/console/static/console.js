// The console's own script: countdowns on the server's clock, selecting, and what keeps a hand and a keyboard where they
// are while the list changes. Every page works without it: forms are posted, and pages loaded, as they stand.
"use strict";

(() => {
  const GUARD_MS = 600; // After the list has moved, clicks on its buttons are not taken for so long.
  const GONE_MS = 15000; // A decided order keeps its place for so long.
  const SOON_MS = 60000;
  const AGAIN_MS = 2000; // A page whose first connection failed tries again so often.

  // The server's clock ----------------------------------------------------------------------------------------------

  let offset = 0;

  function takeClock(element) {
    const now = Number(element && element.dataset.now);
    if (now) offset = now - Date.now();
  }

  function countdown(milliseconds) {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    const two = (number) => String(number).padStart(2, "0");
    if (seconds >= 86400) return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
    const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
    return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  }

  function setText(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  function tick() {
    const now = Date.now() + offset;
    for (const element of document.querySelectorAll(".countdown")) {
      const left = Number(element.dataset.deadline) - now;
      element.classList.toggle("soon", left > 0 && left < SOON_MS);
      element.classList.toggle("over", left <= 0);
      setText(element, left > 0 ? countdown(left) : "Time is over");
      setText(element.parentElement.querySelector(".countdown-word"), left > 0 ? "left" : "");
    }
    for (const element of document.querySelectorAll("time[data-local]:not([data-told])")) {
      element.dataset.told = "";
      const local = new Date(element.dateTime);
      element.title = `${element.title ? `${element.title}; ` : ""}here: ${local.toLocaleString()}`;
    }
    removeGone();
  }

  // Orders that are gone leave when no hand is over the list ------------------------------------------------------------

  function removeGone() {
    const list = document.getElementById("waiting");
    if (!list || list.matches(":hover")) return;
    for (const element of list.querySelectorAll(".gone")) {
      element.goneAt = element.goneAt || Date.now();
      if (Date.now() - element.goneAt > GONE_MS && !element.contains(document.activeElement)) element.remove();
    }
  }

  // Selecting ---------------------------------------------------------------------------------------------------------

  function selectable() {
    return [...document.querySelectorAll("[data-pick]")];
  }

  function showSelection() {
    const boxes = selectable();
    const picked = boxes.filter((box) => box.checked).length;
    const all = document.querySelector("[data-select-all]");
    if (all) {
      all.checked = picked > 0 && picked === boxes.length;
      all.indeterminate = picked > 0 && picked < boxes.length;
    }
    for (const button of document.querySelectorAll("button[data-counted]")) {
      setText(button, picked ? `${button.dataset.counted} ${picked} selected` : `${button.dataset.counted} selected`);
    }
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-select-all]")) {
      for (const box of selectable()) box.checked = event.target.checked;
    }
    showSelection();
  });

  // Clicks that would hit another order than the one that was aimed at, or an order that has just changed ------------------

  let moved = 0;

  function positions() {
    const place = (row) => `${row.offsetTop} ${row.dataset.sequence || ""}`;
    return new Map([...document.querySelectorAll("#waiting > li")].map((row) => [row.id, place(row)]));
  }

  function noteMove() {
    const list = document.getElementById("waiting");
    if (!list) return;
    list.dataset.moved = "true";
    clearTimeout(moved);
    moved = setTimeout(() => { delete document.getElementById("waiting")?.dataset.moved; }, GUARD_MS);
  }

  // A decided order is as tall as it was, so that those below it stay where they are until its place goes.
  let tall = new Map();

  function keepHeights() {
    for (const row of document.querySelectorAll("#waiting > .gone")) {
      if (tall.has(row.id)) row.style.minHeight = `${tall.get(row.id)}px`;
    }
  }

  function haveMoved(before, after) {
    return [...before].some(([id, place]) => after.has(id) && after.get(id) !== place);
  }

  document.addEventListener(
    "click",
    (event) => {
      const aimed = event.isTrusted && event.detail > 0 && event.target.closest("#waiting button");
      if (aimed && document.getElementById("waiting").dataset.moved) {
        event.preventDefault();
        event.stopPropagation();
        say("The list has just changed, so this click was not taken. Look, and click again.", 4000);
      }
    },
    true,
  );

  // A question before many are decided at once ---------------------------------------------------------------------------

  document.addEventListener("submit", ask, true);

  function ask(event) {
    const form = event.target;
    if (form.id !== "many" && !form.dataset.confirm) return;
    const picked = selectable().filter((box) => box.checked).length;
    const choice = event.submitter && event.submitter.dataset.counted;
    if (form.id === "many" && picked === 0) {
      say("No order is selected.", 4000);
      stop(event);
      return;
    }
    if (form.id === "many" && !choice) {
      say("Say what is to be done with them: by its button.", 4000);
      stop(event);
      return;
    }
    const question = form.dataset.confirm || `${choice} ${picked} ${picked === 1 ? "order" : "orders"}?`;
    if ((form.dataset.confirm || picked > 1) && !window.confirm(question)) stop(event);
  }

  function stop(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  // The keyboard stays where it was -----------------------------------------------------------------------------------------

  let at = null; // Where the keyboard was, before a button was disabled, or its row or its place in the page went.
  let placed = new Map();

  function noteFocus() {
    const element = document.activeElement;
    if (!element || element === document.body) return;
    const rows = [...document.querySelectorAll("#waiting > li")];
    const index = rows.findIndex((row) => row.contains(element));
    at = { element, index, row: index >= 0 ? rows[index].id : null, link: element.getAttribute("href") };
  }

  // What it goes to next does nothing by Enter: a second press that was meant for what is gone must not decide another.
  function keepFocus() {
    if (at === null || (document.activeElement && document.activeElement !== document.body)) return;
    if (at.element.isConnected && at.element.checkVisibility()) {
      if (!at.element.disabled) at.element.focus();
      return; // Of one that is disabled the request is under way: once that is over, it is asked again.
    }
    const rows = [...document.querySelectorAll("#waiting > li")];
    const place = rows.find((row) => row.id === at.row) || (at.row === null ? null : rows[at.index] || rows.at(-1));
    const link = at.link && [...document.querySelectorAll("main a[href]")].find((one) => one.getAttribute("href") === at.link);
    const outcomes = document.querySelector("#outcomes:not(:empty)");
    (place || link || outcomes || document.getElementById("main")).focus();
    noteFocus();
  }

  // Who points somewhere has left the place where the keyboard was.
  document.addEventListener("pointerdown", () => { at = null; }, true);

  // Escape folds what a person has unfolded, and goes back to what unfolded it.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    const open = event.target.closest("main details[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });

  document.addEventListener("htmx:before:request", noteFocus);

  document.addEventListener("htmx:before:swap", () => {
    noteFocus();
    placed = positions();
    const height = (row) => row.getBoundingClientRect().height;
    tall = new Map([...document.querySelectorAll("#waiting > .order")].map((row) => [row.id, height(row)]));
  });

  document.addEventListener("htmx:after:swap", () => {
    keepHeights();
    if (haveMoved(placed, positions())) noteMove();
    takeClock(document.getElementById("waiting"));
    tick();
    showSelection();
    keepFocus();
  });

  // A form that has done what it is for is folded again; one that was refused stays, with what was typed ------------------

  function foldForms() {
    if (!document.querySelector("#outcomes .outcomes-good")) return;
    for (const form of document.querySelectorAll(".actions details[open]")) form.open = false;
  }

  document.addEventListener("htmx:after:request", (event) => {
    if (event.detail.ctx.sourceElement.closest(".actions")) setTimeout(foldForms);
  });

  // Behind it htmx enables the buttons again.
  document.addEventListener("htmx:finally:request", () => setTimeout(keepFocus));

  // What is said of the connection -------------------------------------------------------------------------------------------

  const banner = document.getElementById("link");
  let lost = false;
  let hiding = 0;

  function say(text, milliseconds) {
    setText(banner, text);
    banner.hidden = false;
    clearTimeout(hiding);
    if (milliseconds) hiding = setTimeout(() => { banner.hidden = !lost; }, milliseconds);
  }

  function sayLost(status) {
    lost = true;
    if (status === 401 || status === 403) {
      say("You are signed out, so this page is not kept up to date. Load it again to sign in.");
    } else {
      say("The connection to the server is lost, so this page is not kept up to date. Trying again …");
    }
  }

  function isLive(event) {
    const element = event.detail.ctx && event.detail.ctx.sourceElement;
    return Boolean(element && "live" in element.dataset);
  }

  // The first connection is htmx's own request, which it makes once; the extension makes those that follow.
  function connectLater(element) {
    setTimeout(() => htmx.trigger(element, "again"), AGAIN_MS);
  }

  document.addEventListener("htmx:sse:error", (event) => sayLost(event.detail.status));

  document.addEventListener("htmx:sse:after:connection", () => {
    if (lost) say("Connected again: the page is up to date.", 3000);
    lost = false;
  });

  document.addEventListener("htmx:response:error", (event) => {
    const { sourceElement, response, request } = event.detail.ctx;
    if (response.status === 401) {
      sayLost(401);
    } else if (isLive(event)) {
      sayLost(response.status);
      if (response.status >= 429) connectLater(sourceElement);
    } else if (request.method === "GET") {
      say("The server could not say how far this is. Asking again …", 8000);
    }
  });

  document.addEventListener("htmx:error", (event) => {
    const context = event.detail.ctx;
    if (isLive(event)) {
      sayLost();
      connectLater(context.sourceElement);
    } else if (context && context.request && context.request.method === "GET") {
      say("The server did not answer. Asking again …", 8000);
    } else if (context && context.sourceElement) {
      say("The server did not answer, so it is not known whether anything was done. Look again in a moment.", 12000);
    }
  });

  takeClock(document.body);
  tick();
  showSelection();
  setInterval(tick, 250);
})();
