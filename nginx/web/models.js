// The models: the chosen one, its description, and examples to try it on.

import { find, stamp } from "./dom.js";
import { showImage } from "./key.js";
import { page } from "./language.js";
import { describe, labelOf, text } from "./texts.js";

const select = find("model");

export const served = () => Array.from(select.options, (option) => option.value);

/** Return the model to name in a request; undefined for the first, which is the default, as is its replacement. */
export const chosen = () => (select.selectedIndex > 0 ? select.value : undefined);

/** Offer `names` to choose from if there are several. */
export function showNames(names) {
  if (served().join() === names.join()) return;
  const before = select.value;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  if (names.includes(before)) select.value = before;
  find("model-field").hidden = names.length < 2;
}

let shown;

/** Show the chosen one of `models` with its examples; a click on an example calls `tried(path, name)`. */
export function showModel(models, tried) {
  const model = models.find(({ name }) => name === select.value);
  const wanted = JSON.stringify([page.language, served().length, model]);
  if (shown === wanted) return; // keep the user's text selection and focus
  shown = wanted;
  find("knows").replaceChildren(...(model ? knowledgeOf(model) : []));
  const examples = model?.examples ?? [];
  find("examples").hidden = examples.length === 0;
  find("tries").replaceChildren(...examples.map((example, number) => newExample(example, number, examples, tried)));
}

/** Return the parts of one line: the name if there are several models, the description, classes and licence. */
function knowledgeOf({ name, description = {}, classes, licence }) {
  const [language, said] = describe(description);
  const sentence = document.createElement("span");
  sentence.lang = language;
  sentence.textContent = said;
  const counted = !classes || numbersIn(said).includes(classes);
  const parts = [served().length > 1 ? "" : name, said && sentence, counted ? "" : text("classes", classes), licence];
  return parts.filter(Boolean).flatMap((part, place) => (place ? [" · ", part] : [part]));
}

const numbersIn = (sentence) => (sentence.match(/\d[\d,]*/g) ?? []).map((digits) => Number(digits.replaceAll(",", "")));

function newExample(example, number, examples, tried) {
  const label = labelOf(example);
  const earlier = examples.slice(0, number).filter((other) => labelOf(other) === label).length;
  const name = earlier ? `${label} ${earlier + 1}` : label;
  const path = example.path.replace(/^\//, ""); // relative, like every address of the page
  const button = stamp("example");
  const image = button.querySelector("img");
  showImage(image, path);
  image.alt = name;
  button.onclick = () => tried(path, name);
  return button;
}
