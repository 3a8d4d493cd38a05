// Publishes a file by libwebrtc outside a browser, in real time: libwebrtc.mjs FOLDER URL FILE
// FILE is WAV (16 bit, stereo, 48 kHz), its left channel alone, or y4m, which is repeated.
// FOLDER is where npm has installed @roamhq/wrtc. Says `publishing` once it is connected.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, url, file] = process.argv.slice(2);
const { RTCPeerConnection, nonstandard } = createRequire(`${folder}/`)("@roamhq/wrtc");
const HEADER = 44, FRAME = 4, RATE = 48000, FRAMES = RATE / 100;

const video = file.endsWith(".y4m");
const source = video ? new nonstandard.RTCVideoSource() : new nonstandard.RTCAudioSource();
const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
connection.addTransceiver(source.createTrack(), { direction: "sendonly" });
await connection.setLocalDescription(await connection.createOffer());
await new Promise(done => {
  const look = () => { if (connection.iceGatheringState === "complete") done(); };
  connection.onicegatheringstatechange = look;
  look();
});
const headers = { "Content-Type": "application/sdp" };
const response = await fetch(url, { method: "POST", headers, body: connection.localDescription.sdp });
if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
connection.onconnectionstatechange = () => {
  if (connection.connectionState === "connected") console.log("publishing");
};
await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });

// What the timer was late for is made up for.
const content = readFileSync(file);
const began = performance.now();
let sent = 0;

// libwebrtc takes 10 ms of audio at a time.
function speak() {
  while (sent * 10 < performance.now() - began) {
    const samples = new Int16Array(FRAMES);
    const at = HEADER + sent * FRAMES * FRAME;
    for (let i = 0; i < FRAMES && at + (i + 1) * FRAME <= content.length; i++)
      samples[i] = content.readInt16LE(at + i * FRAME);
    source.onData({ samples, sampleRate: RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: FRAMES });
    sent++;
  }
}

// A line for all frames, and one before each.
const head = content.indexOf("\n") + 1, MARK = "FRAME\n".length;
const number = name => Number(content.toString("latin1", 0, head).match(` ${name}(\\d+)`)?.[1]);
const [width, height, fps] = ["W", "H", "F"].map(number);
const size = width * height * 3 / 2;
const frames = Math.floor((content.length - head) / (MARK + size));

function show() {
  while (sent * 1000 / fps < performance.now() - began) {
    const at = head + sent % frames * (MARK + size) + MARK;
    source.onFrame({ width, height, data: new Uint8ClampedArray(content.subarray(at, at + size)) });
    sent++;
  }
}

setInterval(video ? show : speak, 5);
