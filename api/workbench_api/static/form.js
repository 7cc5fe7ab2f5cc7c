"use strict";
// Sends the form of a process as an execute request, and shows what comes back.

const form = document.getElementById("execute");
const place = document.getElementById("answer");

function say(kind, text) {
  const element = document.createElement(kind === "pre" ? "pre" : "p");
  if (kind === "problem") element.className = "problem";
  element.textContent = text;
  place.append(element);
  return element;
}

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
}

async function inputs() {
  const given = {};
  for (const cell of form.querySelectorAll("[data-input]")) {
    const values = [];
    const selection = cell.querySelector(".selection");
    if (selection && selection.value.trim()) values.push({ selection: selection.value.trim() });
    for (const file of cell.querySelector("input[type=file]").files) values.push({ value: await base64(file) });
    if (values.length) given[cell.dataset.input] = values.length === 1 ? values[0] : values;
  }
  for (const field of form.querySelectorAll("[data-kind]")) {
    const { kind } = field.dataset;
    if (kind === "boolean") given[field.name] = field.checked;
    else if (field.value.trim() === "") {
      // An emptied field says "none" where that is possible, and leaves the default where it is not.
      if ("nullable" in field.dataset) given[field.name] = null;
    }
    else if (kind === "number") given[field.name] = Number(field.value);
    else if (kind === "json") given[field.name] = JSON.parse(field.value);
    else if (kind === "text") given[field.name] = field.value;
    else given[field.name] = /^[[{]/.test(field.value.trim()) ? JSON.parse(field.value) : field.value.trim();
  }
  return given;
}

async function show(answer) {
  for (const notice of JSON.parse(answer.headers.get("Workbench-Notices") || "[]")) {
    say("problem", [notice.subject, notice.problem, notice.remedy].filter(Boolean).join(": "));
  }
  const media = (answer.headers.get("Content-Type") || "").split(";")[0];
  const content = await answer.blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = (answer.headers.get("Content-Disposition") || "").split('"')[1] || "result";
  link.textContent = `Download ${link.download} (${content.size} bytes)`;
  say("p", "").append(link);
  if (media.startsWith("image/")) {
    const image = document.createElement("img");
    image.src = link.href;
    image.alt = "The result";
    place.append(image);
  } else if (/^text\/|json$|xml$/.test(media)) {
    const text = await content.text();
    say("pre", text.length > 50000 ? `${text.slice(0, 50000)}\n…` : text);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  place.replaceChildren();
  try {
    const outputs = {};
    for (const choice of form.querySelectorAll(".output")) outputs[choice.name] = { format: { mediaType: choice.value } };
    const answer = await fetch(form.dataset.action, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "*/*" },
      body: JSON.stringify({ inputs: await inputs(), outputs, response: "raw" }),
    });
    if (answer.ok) await show(answer);
    else say("problem", (await answer.json()).detail);
  } catch (error) {
    say("problem", `This did not work: ${error.message}`);
  }
  button.disabled = false;
});
