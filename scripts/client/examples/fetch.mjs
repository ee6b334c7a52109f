// fetch.mjs URL IMAGE: print the best label and its score. In a browser the file comes from <input type="file">.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";

const [url, path] = process.argv.slice(2);
const form = new FormData();
form.append("image", new Blob([await readFile(path)]), basename(path));
const response = await fetch(`${url}/predict?top_k=1`, { method: "POST", body: form });
const answer = await response.json();
if (!response.ok) throw new Error(answer.error.message);
const [best] = answer.predictions;
console.log(`${best.label}\t${best.score.toFixed(3)}`);
