// Beside the page: scale one photograph after another, while the page stays responsive.

import { shrunk } from "./shrink.js";

onmessage = async ({ data: { file, side } }) => postMessage(await shrunk(file, side).catch(() => null));
