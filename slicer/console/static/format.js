// Numbers and times as people read them.

export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

export function moment(ms) {
  const date = new Date(ms), today = new Date().toDateString() === date.toDateString();
  return today ? clock(ms) : date.toLocaleDateString([], { month: "short", day: "numeric" }) + ", " + clock(ms);
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
  return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
}

export function bytes(count) {
  if (count < 1000) return count + " B";
  if (count < 1e6) return (count / 1e3).toFixed(0) + " kB";
  if (count < 1e9) return (count / 1e6).toFixed(1) + " MB";
  return (count / 1e9).toFixed(1) + " GB";
}

export function counted(count, noun) {
  return count.toLocaleString("en") + " " + noun + (count === 1 ? "" : "s");
}

export const TONES = { pass: "good", review: "warn", block: "bad", unjudged: "" };

export function verdictText(verdict) {
  if (verdict.suggest === "unjudged") return "not judged";
  const word = verdict.suggest[0].toUpperCase() + verdict.suggest.slice(1);
  return verdict.suggest === "pass" ? word : word + " · " + verdict.label + " " + verdict.score;
}
