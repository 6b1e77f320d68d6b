/** The ballot, one contest on a screen, and its review. */
import { html, nothing } from "lit-html";
import { live } from "lit-html/directives/live.js";
import type { Contest } from "../lib/definition.ts";
import { draggable } from "./drag.ts";
import { howMany, mannerOf, unused } from "./choices.ts";
import { type Scene, type View, chosen, heading, howManyWords, notice, paragraphs, whoVotes } from "./view.ts";
import { castButton, sealedView } from "./secret_view.ts";
import { foreign } from "./words.ts";

export function contestView(scene: Scene, index: number): View {
  const { booth, words } = scene;
  const contest = booth.contests[index]!;
  const all = booth.contests.length;
  const how = howManyWords(words, contest, howMany(contest));
  const isRanked = mannerOf(contest) === "ranked";
  const back = () => booth.back(index);
  const next = booth.reviewed ? "contest.backToReview" : index + 1 === all ? "contest.toReview" : "next";
  const isStart = index === 0 && !booth.hasRoll && !booth.reviewed;
  return html`${whoVotes(scene)}
    <p class="booth-progress">
      ${words.say("contest.of", { n: index + 1, all })}
      <progress max=${all} value=${index + 1} aria-hidden="true"></progress>
    </p>
    ${heading(foreign(contest.title), html` <span class="booth-how">${how}</span>`)} ${paragraphs(contest.description)}
    ${isRanked ? html`<p id="rank-hint">${words.say("contest.rankHint")}</p>` : nothing}
    ${isRanked ? ranking(scene, contest, index) : options(scene, contest, index)} ${notice(scene)}
    <div class="booth-buttons">
      <button type="button" class="button booth-main" @click=${() => booth.next(index)}>${words.say(next)}</button>
      ${
        booth.notice !== null && contest.blank && booth.picks[index]!.choices.length < contest.min
          ? html`<button type="button" class="button button-quiet" @click=${() => booth.skip(index)}>
              ${words.say("contest.skip")}
            </button>`
          : nothing
      }
      ${
        isStart
          ? nothing
          : html`<button type="button" class="button button-quiet" @click=${back}>${words.say("back")}</button>`
      }
    </div>`;
}

/** Radio buttons or checkboxes. */
function options(scene: Scene, contest: Contest, index: number): View {
  const { booth, words } = scene;
  const pick = booth.picks[index]!;
  const isOne = mannerOf(contest) === "one";
  const change = (event: Event, name: string) => {
    if (!booth.toggle(index, name)) (event.target as HTMLInputElement).checked = false;
  };
  const option = (name: string) =>
    html`<label class="booth-option">
      <input
        type=${isOne ? "radio" : "checkbox"}
        name="contest"
        .checked=${live(pick.choices.includes(name))}
        @change=${(event: Event) => change(event, name)}
      />
      <span>${foreign(name)}</span>
    </label>`;
  const rows = contest.candidates.map(
    ({ name, statement }) => html`<li>${option(name)} ${about(scene, name, statement)}</li>`,
  );
  return html`<fieldset class="booth-options" aria-labelledby="booth-title">
      <ul>
        ${rows} ${contest.blank ? html`<li>${blankOption(scene, index, isOne)}</li>` : nothing}
      </ul>
    </fieldset>
    ${
      isOne || pick.choices.length === 0
        ? nothing
        : html`<p class="booth-count">${words.count("contest.chosen", pick.choices.length)}</p>`
    }`;
}

function blankOption(scene: Scene, index: number, isOne: boolean): View {
  const { booth, words } = scene;
  const change = (event: Event) => booth.setBlank(index, (event.target as HTMLInputElement).checked);
  return html`<label class="booth-option booth-option-blank">
    <input
      type=${isOne ? "radio" : "checkbox"}
      name="contest"
      .checked=${live(booth.picks[index]!.blank)}
      @change=${change}
    />
    <span>${words.say("contest.blank")}</span>
  </label>`;
}

const about = ({ words }: Scene, name: string, statement: string): View | typeof nothing =>
  statement === ""
    ? nothing
    : html`<details>
        <summary><span>${words.show("contest.statement", { name })}</span></summary>
        ${paragraphs(statement)}
      </details>`;

/** Names in an order. The rows stay where they are: only the numbers change under the finger. */
function ranking(scene: Scene, contest: Contest, index: number): View {
  const { booth } = scene;
  const { choices } = booth.picks[index]!;
  const rows = contest.candidates.map(
    ({ name, statement }) =>
      html`<li>
        <div class="booth-rank">${rankButton(scene, index, name)} ${moveButtons(scene, index, name)}</div>
        ${about(scene, name, statement)}
      </li>`,
  );
  return html`<div class="booth-options" role="group" aria-labelledby="booth-title" aria-describedby="rank-hint">
      <ul>
        ${rows} ${contest.blank ? html`<li>${blankOption(scene, index, false)}</li>` : nothing}
      </ul>
    </div>
    ${choices.length === 0 ? nothing : orderView(scene, index)}`;
}

/** The order so far. Its handles are for pointers alone: all others have the buttons. */
function orderView({ booth, words }: Scene, index: number): View {
  const { choices } = booth.picks[index]!;
  const drag = draggable(choices, (name, by) => {
    booth.move(index, name, by);
    booth.announce("contest.placed", { name, n: booth.picks[index]!.choices.indexOf(name) + 1 });
  });
  const rows = choices.map(
    (name) => html`<li><span class="booth-handle" aria-hidden="true">⠿</span>${foreign(name)}</li>`,
  );
  return html`<section class="booth-order">
    <h2>${words.say("contest.order2")}</h2>
    <ol
      class="booth-chosen"
      @pointerdown=${drag.down}
      @pointermove=${drag.move}
      @pointerup=${drag.end}
      @pointercancel=${drag.end}
    >
      ${rows}
    </ol>
  </section>`;
}

function rankButton({ booth, words }: Scene, index: number, name: string): View {
  const place = booth.picks[index]!.choices.indexOf(name) + 1;
  const isPlaced = place > 0;
  const press = () => {
    if (!booth.toggle(index, name)) return;
    booth.announce(isPlaced ? "contest.removed" : "contest.placed", {
      name,
      n: booth.picks[index]!.choices.length,
    });
  };
  const label = isPlaced ? words.say("contest.place", { name, n: place }) : words.say("contest.unplaced", { name });
  return html`<button
    type="button"
    class="booth-rank-name"
    aria-pressed=${isPlaced ? "true" : "false"}
    aria-label=${label}
    @click=${press}
  >
    <span class="booth-number" aria-hidden="true">${isPlaced ? words.number(place) : ""}</span>
    ${foreign(name)}
  </button>`;
}

function moveButtons({ booth, words }: Scene, index: number, name: string): View {
  const { choices } = booth.picks[index]!;
  const place = choices.indexOf(name);
  if (place < 0) return html`<span class="booth-moves"></span>`;
  const button = (by: -1 | 1) => {
    const isEnd = by < 0 ? place === 0 : place === choices.length - 1;
    const press = () => {
      if (isEnd) return;
      booth.move(index, name, by);
      booth.announce("contest.placed", { name, n: place + by + 1 });
    };
    return html`<button
      type="button"
      class="booth-move"
      aria-disabled=${isEnd ? "true" : "false"}
      aria-label=${words.say(by < 0 ? "contest.up" : "contest.down", { name })}
      @click=${press}
    >
      <span aria-hidden="true">${by < 0 ? "↑" : "↓"}</span>
    </button>`;
  };
  return html`<span class="booth-moves">${button(-1)}${button(1)}</span>`;
}

export function reviewView(scene: Scene): View {
  const { booth, words } = scene;
  const parts = booth.contests.map((contest, index) => {
    const pick = booth.picks[index]!;
    const more = unused(contest, pick);
    return html`<section class="booth-answer">
      <div>
        <h2>${foreign(contest.title)}</h2>
        ${chosen(words, pick.choices, mannerOf(contest) === "ranked")}
        ${more > 0 ? html`<p class="booth-note">${words.count("review.unused", more)}</p>` : nothing}
      </div>
      <button
        type="button"
        class="button button-quiet"
        aria-label=${words.say("review.changeOf", { title: contest.title })}
        @click=${() => booth.go({ kind: "contest", index })}
      >
        ${words.say("review.change")}
      </button>
    </section>`;
  });
  return html`${whoVotes(scene)} ${heading(words.say("review.title"))}
    <p class="booth-careful"><strong>${words.say("review.notCast")}</strong></p>
    ${parts}
    ${
      booth.isSecret
        ? sealedView(scene)
        : html`<p class="booth-note">${words.say("review.public")}</p>
            ${castButton(scene)}`
    }`;
}
