// Runs models in ONNX Runtime: node onnx_towers.mjs (MODEL.onnx INPUTS.json OUTPUTS.json)..
// INPUTS: {name: {"dtype": "int64" | "float32", "shape": [..], "data": [..]}}
// OUTPUTS: {name: {"shape", "data"}}
import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-node";

const paths = process.argv.slice(2);
while (paths.length > 0) {
  const [model, inputs, outputs] = paths.splice(0, 3);
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
  const feeds = {};
  for (const [name, { dtype, shape, data }] of Object.entries(JSON.parse(readFileSync(inputs, "utf8"))))
    feeds[name] = new ort.Tensor(
      dtype, dtype === "int64" ? BigInt64Array.from(data, BigInt) : Float32Array.from(data), shape);
  const missing = session.inputNames.filter((name) => !(name in feeds));
  if (missing.length > 0) throw new Error(`${model} wants ${missing} as well`);
  const found = {};
  for (const [name, { dims, data }] of Object.entries(await session.run(feeds)))
    found[name] = { shape: dims, data: Array.from(data) };
  writeFileSync(outputs, JSON.stringify(found));
}
