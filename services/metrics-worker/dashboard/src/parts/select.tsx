/** A choice of one: keyboard, type-ahead and screen readers by Kobalte. */

import { Select as Kobalte } from "@kobalte/core/select";
import { Show, type JSX } from "solid-js";
import { Check, Chevron } from "./marks";

export interface Choice {
  value: string;
  name: string;
}

export function Select(props: {
  label: string;
  choices: readonly Choice[];
  value: string;
  onChange: (value: string) => void;
  /** In place of the chosen name. */
  shows?: string;
  quiet?: boolean;
  /** Seen in place of the chosen name, which is still said. */
  icon?: JSX.Element;
  class?: string;
}) {
  const chosen = () => props.choices.find(({ value }) => value === props.value) ?? null;
  return (
    <Kobalte<Choice>
      class={props.class ?? "select"}
      options={[...props.choices]}
      optionValue="value"
      optionTextValue="name"
      value={chosen()}
      onChange={(choice) => choice && props.onChange(choice.value)}
      gutter={4}
      disallowEmptySelection
      itemComponent={(item) => (
        <Kobalte.Item item={item.item} class="choice">
          <Kobalte.ItemLabel>{item.item.rawValue.name}</Kobalte.ItemLabel>
          <Kobalte.ItemIndicator class="choice-mark">
            <Check />
          </Kobalte.ItemIndicator>
        </Kobalte.Item>
      )}
    >
      <Kobalte.Label class="hidden">{props.label}</Kobalte.Label>
      <Kobalte.Trigger class={props.quiet ? "button quiet" : "button"}>
        <Show when={!props.quiet}>
          <span class="button-label" aria-hidden="true">{props.label}</span>{" "}
        </Show>
        {/* The value is part of the button's name. */}
        {props.icon}
        <Kobalte.Value<Choice> class={props.icon === undefined ? "" : "hidden"}>{(state) => props.shows ?? state.selectedOption()?.name ?? ""}</Kobalte.Value>
        <Chevron />
      </Kobalte.Trigger>
      <Kobalte.Portal>
        <Kobalte.Content class="choices">
          <Kobalte.Listbox class="choices-list" />
        </Kobalte.Content>
      </Kobalte.Portal>
    </Kobalte>
  );
}
