import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import { wearTheme } from "./views/ThemeSwitch.tsx";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/sidebar.css";
import "./styles/conversation.css";
import "./styles/composer.css";
import "./styles/entries.css";
import "./styles/cards.css";
import "./styles/terminal.css";
import "./styles/markdown.css";
import "./styles/operations.css";

wearTheme();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
