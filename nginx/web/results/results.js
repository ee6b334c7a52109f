// All results: cards for few images, a list for many, with a filter, an order, counts and export.

import { find, setText } from "../dom.js";
import { labelOf, text } from "../texts.js";
import { arranged, countsOf, ORDER_NAMES } from "./arrange.js";
import { newCard, showCard } from "./card.js";
import { csvOf, download, jsonOf } from "./export.js";
import { Large } from "./large.js";
import { Rows } from "./rows.js";
import { forgetThumbnails } from "./thumbnails.js";

const LIST_FROM = 12; // images

export class Results {
  #items = [];
  #shown = [];
  #cards = new Map();

  /** `modelOf(name)` returns what GET /models says of a model. */
  constructor(modelOf) {
    this.rows = new Rows(find("rows"), (item) => this.large.open(item, false));
    this.large = new Large((item) => this.#neighbours(item), modelOf, (item) => this.#focus(item));
    find("filter").onchange = find("order").onchange = () => this.show(this.#items);
    find("counts").ontoggle = () => this.show(this.#items);
    find("csv").onclick = () => download(csvOf(this.#shown), "wanwu.csv", "text/csv;charset=utf-8");
    find("json").onclick = () => download(jsonOf(this.#shown), "wanwu.json", "application/json");
  }

  /** Show `items` as they are now. */
  show(items) {
    this.#items = items;
    const counts = countsOf(items);
    this.#offerFilters(counts);
    this.#shown = arranged(items, find("filter").value, find("order").value);
    const list = items.length >= LIST_FROM;
    find("cards").hidden = list;
    if (list) this.#dropCards();
    else this.#showCards();
    if (list) this.rows.show(this.#shown);
    else this.rows.clear();
    find("arrange").hidden = find("counts").hidden = items.length < 2;
    find("csv").hidden = find("json").hidden = !this.#shown.some(({ state }) => state === "done" || state === "failed");
    this.#showCounts(counts.labels);
    this.large.show();
  }

  clear() {
    this.#dropCards();
    this.rows.clear();
    forgetThumbnails();
    find("filter").value = "all";
    find("order").value = "added";
    this.show([]);
  }

  /** Return the element that says what is shown of `item`, if it has a card. */
  cardOf(item) {
    return this.#cards.get(item);
  }

  #showCards() {
    for (const item of this.#items) {
      if (!this.#cards.has(item)) this.#cards.set(item, newCard(item, (wanted, heat) => this.large.open(wanted, heat)));
      showCard(this.#cards.get(item), item);
    }
    const wanted = this.#shown.map((item) => this.#cards.get(item));
    if (wanted.some((card, place) => find("cards").children[place] !== card) || wanted.length < this.#cards.size) {
      find("cards").replaceChildren(...wanted);
    }
  }

  #dropCards() {
    find("cards").replaceChildren();
    this.#cards.clear();
  }

  #neighbours(item) {
    const place = this.#shown.indexOf(item) + 1;
    const all = this.#shown.length;
    return { place, all, before: place > 1 && this.#shown[place - 2], after: this.#shown[place] };
  }

  #focus(item) {
    if (!find("rows").hidden && this.#shown.includes(item)) this.rows.focus(item);
    else this.#cards.get(item)?.querySelector(".frame").focus();
  }

  #offerFilters({ all, unsure, failed, labels }) {
    const names = text("filters");
    const options = [["all", names.all(all)]];
    if (unsure) options.push(["unsure", names.unsure(unsure)]);
    if (failed) options.push(["failed", names.failed(failed)]);
    options.push(...labels.map(([filter, row, count]) => [filter, names.label(labelOf(row), count)]));
    offer(find("filter"), options);
    offer(find("order"), ORDER_NAMES.map((name) => [name, text("orders")[name]]));
  }

  #showCounts(labels) {
    find("counts").hidden ||= labels.length === 0;
    setText(find("counts-title"), text("labels", labels.length));
    if (!find("counts").open) return;
    if (find("counts-list").childElementCount !== labels.length) {
      find("counts-list").replaceChildren(...labels.map(() => document.createElement("li")));
      for (const place of find("counts-list").children) place.append(newChip());
    }
    labels.forEach(([filter, row, count], place) => {
      const chip = find("counts-list").children[place].firstChild;
      setText(chip, text("filters").label(labelOf(row), count));
      chip.setAttribute("aria-pressed", find("filter").value === filter);
      chip.onclick = () => this.#filterBy(find("filter").value === filter ? "all" : filter);
    });
  }

  #filterBy(filter) {
    find("filter").value = filter;
    this.show(this.#items);
  }
}

function newChip() {
  const chip = document.createElement("button");
  chip.type = "button";
  chip.className = "chip";
  return chip;
}

/** Offer `options`, [value, words] each, to choose from in `select`; the choice is kept while it is among them. */
function offer(select, options) {
  const before = select.value;
  if (select.offered === JSON.stringify(options)) return;
  select.offered = JSON.stringify(options);
  select.replaceChildren(...options.map(([value, words]) => new Option(words, value)));
  if (options.some(([value]) => value === before)) select.value = before;
}
