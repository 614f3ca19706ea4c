// SPDX-License-Identifier: MIT
// Decode Opus with its deep concealment: @wasm-audio-decoders/opus-ml, libopus 1.5 as WebAssembly.
//
//   node opus_deep.mjs FOLDER ENHANCEMENT RATE
//
// FOLDER is where `npm install @wasm-audio-decoders/opus-ml` was run, ENHANCEMENT is none, lace or
// nolace. On standard input comes clip after clip, all little-endian: the number of packets (u32),
// then each packet as its length (u16) and its bytes. For each clip standard output gets the number
// of frames (u32), these as f32, and the seconds each packet took (f64) and the frames it gave
// (u32). It ends when its input does; what is wrong is said on standard error, and the exit code is 1.

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, speechQualityEnhancement, rate] = process.argv.slice(2);

/** Read so many bytes of standard input; null where it has ended. */
function reader(stream) {
  const chunks = stream[Symbol.asyncIterator]();
  let held = Buffer.alloc(0);
  return async (bytes) => {
    const parts = [held];
    let size = held.length;
    while (size < bytes) {
      const { value, done } = await chunks.next();
      if (done) return null;
      parts.push(value);
      size += value.length;
    }
    const all = Buffer.concat(parts);
    held = all.subarray(bytes);
    return all.subarray(0, bytes);
  };
}

/** Read a clip's packets; null where there is no further clip. */
async function packetsOf(take) {
  const head = await take(4);
  if (head === null) return null;
  const packets = [];
  for (let left = head.readUInt32LE(); left > 0; left--) {
    const size = (await take(2)).readUInt16LE();
    packets.push(new Uint8Array(await take(size)));
  }
  return packets;
}

/** Decode a clip, each packet timed by itself. */
function decode(decoder, packets) {
  const parts = [];
  const seconds = new Float64Array(packets.length);
  const frames = new Uint32Array(packets.length);
  packets.forEach((packet, k) => {
    const begin = performance.now();
    const { channelData, samplesDecoded, errors } = decoder.decodeFrame(packet);
    seconds[k] = (performance.now() - begin) / 1000;
    if (errors.length) throw new Error(`packet ${k}: ${errors[0].message}`);
    parts.push(Float32Array.from(channelData[0].subarray(0, samplesDecoded)));
    frames[k] = samplesDecoded;
  });
  return { parts, seconds, frames };
}

/** Write an answer, and wait while the other side is slow. */
async function answer({ parts, seconds, frames }) {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(parts.reduce((sum, part) => sum + part.length, 0));
  const bytes = [...parts, seconds, frames].map((a) => Buffer.from(a.buffer, a.byteOffset, a.byteLength));
  const whole = Buffer.concat([head, ...bytes]);
  await new Promise((done, fail) => process.stdout.write(whole, (e) => (e ? fail(e) : done())));
}

async function main() {
  const installed = createRequire(join(folder, "node_modules", "x.js"));
  const found = installed.resolve("@wasm-audio-decoders/opus-ml");
  const { OpusMLDecoder } = await import(pathToFileURL(found).href);
  const take = reader(process.stdin);
  const decoder = new OpusMLDecoder({
    sampleRate: Number(rate),
    channels: 1,
    streamCount: 1,
    coupledStreamCount: 0,
    speechQualityEnhancement,
  });
  await decoder.ready;
  for (;;) {
    const packets = await packetsOf(take);
    if (packets === null) return;
    await answer(decode(decoder, packets));
    await decoder.reset(); // nothing of a clip is left for the next
  }
}

main().catch((error) => {
  // An input that is still open would keep node alive, and the other side waiting.
  process.stderr.write(`${error.message ?? error}\n`, () => process.exit(1));
});
