// Publishes a WAV file (16 bit, stereo, 48 kHz) by libwebrtc outside a browser, its left
// channel alone: libwebrtc.mjs FOLDER URL FILE
// FOLDER is where npm has installed @roamhq/wrtc. Says `publishing` once it is connected.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, url, file] = process.argv.slice(2);
const { RTCPeerConnection, nonstandard } = createRequire(`${folder}/`)("@roamhq/wrtc");
const HEADER = 44, FRAME = 4, RATE = 48000, FRAMES = RATE / 100;

const source = new nonstandard.RTCAudioSource();
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

// libwebrtc takes 10 ms at a time; what the timer was late for is made up for.
const wav = readFileSync(file);
const began = performance.now();
let sent = 0;
setInterval(() => {
  while (sent * 10 < performance.now() - began) {
    const samples = new Int16Array(FRAMES);
    const at = HEADER + sent * FRAMES * FRAME;
    for (let i = 0; i < FRAMES && at + (i + 1) * FRAME <= wav.length; i++)
      samples[i] = wav.readInt16LE(at + i * FRAME);
    source.onData({ samples, sampleRate: RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: FRAMES });
    sent++;
  }
}, 5);
