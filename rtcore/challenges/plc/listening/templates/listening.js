// SPDX-License-Identifier: MIT
// Switch between the sounds of a clip without losing the place; a line shows where it plays.
"use strict";
let last = null; // the sound that was heard last
const keep = document.getElementById("keep");
const cardOf = (node) => node.closest(".card");
const placeOf = (audio) => audio.closest(".take").querySelector(".head");

function show(audio) {
  if (audio.duration) placeOf(audio).style.left = 100 * audio.currentTime / audio.duration + "%";
  if (!audio.paused) requestAnimationFrame(() => show(audio));
}

for (const audio of document.querySelectorAll("audio")) {
  audio.addEventListener("play", () => {
    if (last && last !== audio) {
      const playing = !last.paused;
      last.pause();
      last.closest(".take").classList.remove("playing");
      if (playing && keep.checked && cardOf(last) === cardOf(audio)) audio.currentTime = last.currentTime;
    }
    last = audio;
    audio.closest(".take").classList.add("playing");
    show(audio);
  });
  audio.addEventListener("seeked", () => show(audio));
  const spectrum = audio.closest(".take").querySelector(".spectrum");
  spectrum.addEventListener("click", (event) => {
    const box = spectrum.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width;
    if (last && last !== audio) last.pause();
    if (audio.duration) audio.currentTime = at * audio.duration;
    audio.play();
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === keep) return;
  const card = last ? cardOf(last) : document.querySelector(".card");
  if (!card) return;
  const audio = card.querySelectorAll("audio")[Number(event.key) - 1];
  if (audio) audio.play();
});
