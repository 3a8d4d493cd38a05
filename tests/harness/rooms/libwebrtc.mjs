// Publishes a file by libwebrtc outside a browser, in real time: libwebrtc.mjs FOLDER URL FILE WAY
// FILE is WAV (16 bit, stereo, 48 kHz), its left channel alone, or y4m, which is repeated.
// FOLDER is where npm has installed @roamhq/wrtc. Says `publishing` once it is connected.
// WAY: `relay`: by the TURN servers of the answer alone; `tcp`: by no candidate of UDP; `restart`:
// restart ICE at once, and say `restarted` once another pair is used.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, url, file, way] = process.argv.slice(2);
const { RTCPeerConnection, nonstandard } = createRequire(`${folder}/`)("@roamhq/wrtc");
const HEADER = 44, FRAME = 4, RATE = 48000, FRAMES = RATE / 100;

const video = file.endsWith(".y4m");
const source = video ? new nonstandard.RTCVideoSource() : new nonstandard.RTCAudioSource();
const relay = way === "relay";
const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceTransportPolicy: relay ? "relay" : "all" });
connection.addTransceiver(source.createTrack(), { direction: "sendonly" });
const gathered = () => new Promise(done => {
  const look = () => { if (connection.iceGatheringState === "complete") done(); };
  connection.onicegatheringstatechange = look;
  look();
});
async function request(method, to, type, body) {
  const response = await fetch(to, { method, headers: { "Content-Type": type }, body });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response;
}

// A relay is known by the answer alone (RFC 9725 4.6), so that comes first.
const offer = await connection.createOffer();
if (!relay) {
  await connection.setLocalDescription(offer);
  await gathered();
}
const response = await request("POST", url, "application/sdp", relay ? offer.sdp : connection.localDescription.sdp);
if (relay) {
  const [, urls, username, credential] = response.headers.get("Link")
    .match(/<([^>]*)>.*username="([^"]*)".*credential="([^"]*)"/);
  connection.setConfiguration({ bundlePolicy: "max-bundle", iceTransportPolicy: "relay", iceServers: [{ urls, username, credential }] });
  await connection.setLocalDescription(offer);
}
connection.onconnectionstatechange = () => {
  if (connection.connectionState === "connected") {
    console.log("publishing");
    if (way === "restart") restart();
  }
};
let answer = await response.text();
if (way === "tcp") answer = answer.replace(/a=candidate:.* udp .*\r\n/g, "");
await connection.setRemoteDescription({ type: "answer", sdp: answer });

async function pair() {
  const all = [...(await connection.getStats()).values()];
  return all.find(one => one.type === "transport")?.selectedCandidatePairId;
}

// RFC 9725 4.3.3: the fragment of a new offer goes, that of the answer comes.
async function restart() {
  const before = await pair();
  connection.onconnectionstatechange = null;
  await connection.setLocalDescription(await connection.createOffer({ iceRestart: true }));
  await gathered();
  const [head, section] = connection.localDescription.sdp.split(/^(?=m=)/m);
  const wanted = /^(a=(group|ice-ufrag|ice-pwd|mid|candidate|end-of-candidates)|m=)/;
  const lines = (head + section).split("\r\n").filter(line => wanted.test(line));
  const session = new URL(response.headers.get("Location"), url).href;
  const patched = await request("PATCH", session, "application/trickle-ice-sdpfrag", [...lines, ""].join("\r\n"));
  const fragment = await patched.text();
  if (patched.status !== 200) throw new Error(`PATCH: ${patched.status} ${fragment}`);
  for (const name of ["ice-ufrag", "ice-pwd"])
    answer = answer.replace(new RegExp(`a=${name}:\\S+`, "g"), fragment.match(new RegExp(`a=${name}:\\S+`))[0]);
  await connection.setRemoteDescription({ type: "answer", sdp: answer });
  while (await pair() === before) await new Promise(done => setTimeout(done, 50));
  console.log("restarted");
}

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
