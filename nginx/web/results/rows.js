// The list for many images: only the rows in view exist. It is one stop of the Tab key; arrow keys move inside.

import { setAttribute, setText, stamp } from "../dom.js";
import { served } from "../models.js";
import { text } from "../texts.js";
import { thumbnail, unwanted } from "./thumbnails.js";
import { lineOf, scoreOf, unsure, workerMs } from "./words.js";

const AROUND = 8; // rows that are kept above and below the view
const MOVES = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };

export class Rows {
  #items = [];
  #rows = new Map(); // item -> its element
  #current; // the item that the Tab key reaches
  #known; // the height of a row, until the window changes

  /** `open(item)` is called when a row is chosen. */
  constructor(list, open) {
    this.list = list;
    this.open = open;
    list.addEventListener("keydown", (event) => this.#onKey(event));
    addEventListener("scroll", () => this.#draw(), { passive: true });
    addEventListener("resize", () => {
      this.#known = undefined;
      this.#draw();
    });
  }

  /** Show `items` in this order. */
  show(items) {
    this.#items = items;
    if (!items.includes(this.#current)) this.#current = items[0];
    this.list.hidden = items.length === 0;
    this.#draw();
  }

  clear() {
    for (const item of [...this.#rows.keys()]) this.#remove(item);
    this.show([]);
  }

  focus(item) {
    this.#current = item;
    this.#scrollTo(item);
    this.#draw();
    this.#rows.get(item)?.querySelector("button").focus({ preventScroll: true });
  }

  /** Bring the rows in view, and no others, into the document and up to date. */
  #draw() {
    if (this.list.hidden) return;
    const height = this.#height();
    this.list.style.height = `${this.#items.length * height}px`;
    const top = -this.list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - AROUND);
    const last = Math.ceil((top + innerHeight) / height) + AROUND;
    const inView = new Set(this.#items.slice(first, Math.max(last, first)));
    if (this.#current) inView.add(this.#current); // so that the Tab key always finds one
    for (const item of [...this.#rows.keys()]) if (!inView.has(item)) this.#remove(item);
    let place = first;
    for (const item of inView) {
      this.#drawRow(item, item === this.#items[place] ? place : this.#items.indexOf(item), height);
      place += 1;
    }
  }

  #drawRow(item, place, height) {
    const row = this.#rows.get(item) ?? this.#add(item);
    row.style.transform = `translateY(${place * height}px)`;
    setAttribute(row, "aria-posinset", String(place + 1));
    setAttribute(row, "aria-setsize", String(this.#items.length));
    setAttribute(row.querySelector("button"), "tabindex", item === this.#current ? "0" : "-1");
    showRow(row, item);
  }

  #add(item) {
    const row = stamp("row");
    const image = row.querySelector("img");
    const file = row.querySelector(".file");
    file.textContent = file.title = item.file.name;
    row.querySelector("button").onclick = () => this.open(item);
    row.querySelector("button").onfocus = () => (this.#current = item);
    thumbnail(item, (address) => address && (image.src = address));
    this.#rows.set(item, row);
    this.list.append(row);
    return row;
  }

  #remove(item) {
    unwanted(item);
    this.#rows.get(item).remove();
    this.#rows.delete(item);
  }

  #onKey(event) {
    const move = MOVES[event.key];
    if (move === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const place = this.#items.indexOf(this.#current) + move;
    this.focus(this.#items[Math.min(Math.max(place, 0), this.#items.length - 1)]);
  }

  #scrollTo(item) {
    const height = this.#height();
    const top = this.list.getBoundingClientRect().top + this.#items.indexOf(item) * height;
    const above = document.querySelector(".toolbar").getBoundingClientRect().bottom;
    if (top < above) scrollBy(0, top - above);
    else if (top + height > innerHeight) scrollBy(0, top + height - innerHeight);
  }

  #height() {
    return (this.#known ??= parseFloat(getComputedStyle(this.list).getPropertyValue("--row")) * rootSize());
  }
}

const rootSize = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

function showRow(row, item) {
  const part = (name) => row.querySelector(`.${name}`);
  const done = item.state === "done";
  setAttribute(row, "data-state", item.state);
  row.classList.toggle("unsure", unsure(item));
  setText(part("said"), lineOf(item));
  setText(part("score"), scoreOf(item));
  setText(part("by"), done ? item.answer.model : "");
  part("by").hidden = served().length < 2;
  setText(part("ms"), done ? text("ms", workerMs(item).toFixed(0)) : "");
}
