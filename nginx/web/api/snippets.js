// How programs use this service, each complete with this host's address. All pure; tests run what is shown.

/** Return the programs as { key, name, code }, for the service at `url` (without a slash at its end). */
export const snippets = (url) => [
  { key: "curl", name: "curl", code: `curl --fail-with-body --form image=@photo.jpg "${url}/predict?top_k=3"` },
  {
    key: "requests",
    name: "Python",
    code: `import requests

with open("photo.jpg", "rb") as file:
    response = requests.post("${url}/predict", params={"top_k": 3}, files={"image": file}, timeout=60)
answer = response.json()
if not response.ok:
    raise SystemExit(answer["error"]["message"])
for prediction in answer["predictions"]:
    print(prediction["label"], round(prediction["score"], 3))
`,
  },
  {
    key: "client",
    name: "Python (wanwu_client)",
    code: `from wanwu_client import Client

with Client("${url}") as client:
    answer = client.classify("photo.jpg", top_k=3)
    for prediction in answer.predictions:
        print(prediction.label, round(prediction.score, 3))
`,
  },
  {
    key: "javascript",
    name: "JavaScript",
    code: `// file: a File, as from <input type="file">; in Node: new Blob([await readFile("photo.jpg")])
const form = new FormData();
form.append("image", file);
const response = await fetch("${url}/predict?top_k=3", { method: "POST", body: form });
const answer = await response.json();
if (!response.ok) throw new Error(answer.error.message);
for (const { label, score } of answer.predictions) console.log(label, score.toFixed(3));
`,
  },
];
