// The models: which one is chosen, what it knows, and examples to try it on.

import { find, stamp } from "./dom.js";
import { describe, labelOf, page, text } from "./texts.js";

const select = find("model");

export const served = () => Array.from(select.options, (option) => option.value);

/** The model to name in a request: none for the first, which answers unasked, as does what is served in its place. */
export const chosen = () => (select.selectedIndex > 0 ? select.value : undefined);

/** Offers `names` to choose from, where there are several. */
export function showNames(names) {
  if (served().join() === names.join()) return;
  const before = select.value;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  if (names.includes(before)) select.value = before;
  find("model-field").hidden = names.length < 2;
}

let shown;

/** Shows what the chosen one of `models` knows, and its examples; `tried(path, name)` is called for one clicked. */
export function showModel(models, tried) {
  const model = models.find(({ name }) => name === select.value);
  const wanted = JSON.stringify([page.language, served().length, model]);
  if (shown === wanted) return; // whoever selects text or stands on a button is not disturbed
  shown = wanted;
  find("knows").replaceChildren(...(model ? knowledgeOf(model) : []));
  const examples = model?.examples ?? [];
  find("examples").hidden = examples.length === 0;
  find("tries").replaceChildren(...examples.map((example, number) => newExample(example, number, examples, tried)));
}

/** The parts of one line: the name unless the choice shows it, the description, classes and licence. */
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
  image.src = path;
  image.alt = name;
  button.onclick = () => tried(path, name);
  return button;
}
