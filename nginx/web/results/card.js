// One card: an image and its answer, for few images.

import { stamp } from "../dom.js";
import { served } from "../models.js";
import { text } from "../texts.js";
import { newAnswer, showAnswer } from "./answer.js";
import { timingOf } from "./words.js";

/** Return the card of `item`; `open(item, heat)` is called when its image or its heat map is wanted in large. */
export function newCard(item, open) {
  const card = stamp("card");
  card.querySelector(".answer").prepend(newAnswer());
  card.querySelector(".frame").onclick = () => open(item, false);
  card.querySelector(".look").onclick = () => open(item, true);
  const name = card.querySelector(".file");
  name.textContent = name.title = item.file.name;
  showImage(card.querySelector(".image"), item.file);
  return card;
}

/** Show `file` in the element `image`, whose parent gets the class `empty` if the browser cannot. */
function showImage(image, file) {
  image.onload = () => URL.revokeObjectURL(image.src);
  image.onerror = () => {
    URL.revokeObjectURL(image.src);
    image.parentElement.classList.add("empty");
  };
  image.src = URL.createObjectURL(file);
}

export function showCard(card, item) {
  const done = item.state === "done";
  const look = card.querySelector(".look");
  card.dataset.state = item.state;
  showAnswer(card.querySelector(".found"), item);
  card.querySelector(".rest").hidden = true; // the large view has the rest
  card.querySelector(".frame").setAttribute("aria-label", text("enlarge", item.file.name));
  look.hidden = !done;
  look.textContent = text("look");
  look.setAttribute("aria-label", text("lookOf", item.file.name));
  const timing = done ? timingOf(item) : "";
  card.querySelector(".timing").textContent = done && served().length > 1 ? `${item.answer.model} · ${timing}` : timing;
}
