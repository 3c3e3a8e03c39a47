import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import { wearTheme } from "./views/ThemeSwitch.tsx";
import "./styles.css";

wearTheme();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
